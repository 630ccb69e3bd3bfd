"""The live side of a run, once its windows have ended and are written; and what it must be."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from aiokafka.structs import ConsumerRecord
from pin_schema.clean import CleanPin
from pin_schema.reference_windows import WINDOW, Window, WindowKey
from service_runtime.settings import KafkaSettings

from reconcile import live, topic
from reconcile.errors import DemoError
from reconcile.expected import expected_windows, identity, last_of_each_partition, window_bounds
from reconcile.rejected import RejectedPin

WRITTEN_WITHIN_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class LiveSide:
    """What PostgreSQL holds, what its windows must be, and how many of their records came too late."""

    pins: dict[UUID, CleanPin]
    versions: dict[UUID, int]
    rejected: list[RejectedPin]
    windows: dict[WindowKey, Window]
    expected_windows: dict[WindowKey, Window]
    late: int


async def read_live_side(
    kafka: KafkaSettings, topic_name: str, dsn: str, log: str, run: Collection[ConsumerRecord]
) -> LiveSide:
    """Return the live side once all windows have ended and are written that the run's records touch.

    They are records of `log`.
    """
    first, end = window_bounds(run)
    await asyncio.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()))
    end_ms = end.timestamp() * 1000
    span = await topic.since(kafka, topic_name, first)
    records = [r for r in await topic.read_topic(kafka, topic_name, span) if r.timestamp < end_ms]
    async with live.connected(dsn) as connection:
        newest = last_of_each_partition(log, records)
        missing = await live.written_within(connection, newest, WRITTEN_WITHIN_SECONDS)
        if missing:
            raise DemoError(
                f"stream-etl is behind in {len(missing)} partitions after {WRITTEN_WITHIN_SECONDS:.0f} s: "
                "what says stream-etl, and its /health/ready?"
            )
        late = await live.read_late(connection)
        return LiveSide(
            *await live.read_pins(connection),
            await live.read_rejected(connection),
            await live.read_windows(connection, first, end - WINDOW),
            expected_windows(log, records, late),
            len(late & {identity(log, record) for record in records}),
        )
