"""2,000 pins pass while each service is killed once: nothing lost, nothing doubled."""

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

import pytest
from native_stack.demo import archive_settings
from native_stack.reconcile import OffsetRange, archived_within, log_ends, read_topic
from native_stack.stack import Stack
from pin_emulator.answers import Receipt
from pin_emulator.poster import post
from pin_emulator.summary import Summary
from pin_emulator.traffic import traffic
from pin_schema.wire import decode, partition_key
from service_runtime.s3 import s3_bucket

PINS = 2_000
# `make test` runs one seeded round, `make test-long` twenty.
ROUNDS = 20 if os.environ.get("PINFLOW_LONG") else 1


@dataclass
class Receipts:
    """Which pin each receipt was for."""

    pins: dict[tuple[int, int], bytes] = field(default_factory=dict)
    count: int = 0

    def take(self, pairs: list[tuple[bytes, Receipt]]) -> None:
        for pin, receipt in pairs:
            self.count += 1
            self.pins[receipt["partition"], receipt["offset"]] = pin


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_every_acknowledged_pin_is_archived_once_though_each_service_dies(
    stack: Stack, seed: int
) -> None:
    stack.up(only=["ingest-api", "s3-sink"])
    kafka = stack.settings.kafka_address
    before = await log_ends(kafka, "pins")
    pins = list(islice(traffic(seed), PINS))
    receipts = Receipts()

    summary = await _post_while_services_die(stack, pins, receipts)

    assert summary.posted == receipts.count == PINS
    assert summary.retries.total() > 0, "the death of ingest-api was felt"
    assert len(receipts.pins) == PINS, "no two pins were given the same position"
    span = OffsetRange(before, await log_ends(kafka, "pins"))
    topic = {(r.partition, r.offset): r for r in await read_topic(kafka, "pins", span)}
    assert {position: topic[position].value for position in receipts.pins} == receipts.pins
    _assert_only_unanswered_pins_are_repeated(pins, [r.value for r in topic.values()], summary)

    async with s3_bucket(archive_settings(stack)) as store:
        archived = await archived_within(store, span, seconds=60)
    positions = Counter((record.partition, record.offset) for record in archived)
    assert positions.keys() == topic.keys(), "every offset is in the archive"
    assert set(positions.values()) == {1}, "no offset is there twice"
    for record in archived:
        assert record.value == topic[record.partition, record.offset].value
        assert record.key == partition_key(decode(record.value or b"")[0])


async def _post_while_services_die(stack: Stack, pins: list[bytes], receipts: Receipts) -> Summary:
    """Kill ingest-api after a third of the pins and s3-sink after two thirds, with its buffers full."""
    kills = {PINS // 3: "ingest-api", 2 * PINS // 3: "s3-sink"}
    pids = {program: stack.pid_of(program) for program in kills.values()}
    killing: list[asyncio.Task[None]] = []

    def progress(summary: Summary) -> None:
        for due in [count for count in kills if summary.posted >= count]:
            killing.append(asyncio.create_task(asyncio.to_thread(stack.kill, kills.pop(due))))

    summary = await post(
        pins,
        url=stack.settings.ingest_url,
        connections=16,
        on_receipts=receipts.take,
        on_progress=progress,
    )
    await asyncio.gather(*killing)
    await asyncio.to_thread(stack.wait_ready, *pids, timeout_seconds=60)
    assert len(killing) == 2
    assert all(stack.pid_of(program) != pid for program, pid in pids.items()), "both were restarted"
    return summary


def _assert_only_unanswered_pins_are_repeated(
    pins: list[bytes], stored: list[bytes], summary: Summary
) -> None:
    """A pin whose answer was lost is posted again: at most one more copy for each request tried again."""
    surplus = Counter(stored) - Counter(pins)
    assert surplus.total() == len(stored) - PINS
    assert surplus.total() <= summary.retries.total()
