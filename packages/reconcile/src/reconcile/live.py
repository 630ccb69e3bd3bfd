"""What PostgreSQL holds of the live side: pins, rejected ones, windows, and how far the stream is."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import asyncpg
from migrations.postgres import SCHEMA
from pin_schema.clean import CleanPin
from pin_schema.reference_windows import Window, WindowKey

from reconcile.offsets import RecordId
from reconcile.rejected import RejectedPin

POLL_SECONDS = 0.2
REACHED = """
SELECT EXISTS (
    SELECT FROM stream_positions WHERE source_log = $1 AND source_partition = $2 AND source_offset >= $3
)
"""


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator["asyncpg.Connection"]:
    """Connect to the live tables' schema."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": SCHEMA})
    try:
        yield connection
    finally:
        await connection.close()


async def written_within(
    connection: "asyncpg.Connection", records: Collection[RecordId], seconds: float
) -> set[RecordId]:
    """Wait until the records, and all before them in their partitions, are written; return what is not."""
    clock = asyncio.get_running_loop().time
    give_up = clock() + seconds
    missing = set(records)
    while missing and clock() < give_up:
        missing -= {record for record in missing if await connection.fetchval(REACHED, *record)}
        await asyncio.sleep(POLL_SECONDS)
    return missing


async def read_pins(connection: "asyncpg.Connection") -> tuple[dict[UUID, CleanPin], dict[UUID, int]]:
    """Read the table of cleaned pins: each pin, and its version."""
    rows = [
        dict(row) | {"unique_id": _uuid(row["unique_id"])}
        for row in await connection.fetch("SELECT * FROM pins")
    ]
    versions = {row["unique_id"]: row.pop("version") for row in rows}
    return {pin.unique_id: pin for pin in map(CleanPin.model_validate, rows)}, versions


async def read_rejected(connection: "asyncpg.Connection") -> list[RejectedPin]:
    """Read every rejected record."""
    rows = await connection.fetch("SELECT * FROM rejected_pins")
    return [
        RejectedPin(
            _uuid(row["unique_id"]),
            row["reason"],
            row["raw"],
            (row["source_log"], row["source_partition"], row["source_offset"]),
        )
        for row in rows
    ]


async def read_windows(
    connection: "asyncpg.Connection", first: datetime, last: datetime
) -> dict[WindowKey, Window]:
    """Read the windows that start in `first`…`last`, inclusive."""
    rows = await connection.fetch(
        "SELECT window_start, category, pins, posters, images, videos, max_follower_count "
        "FROM pin_windows WHERE window_start BETWEEN $1 AND $2",
        first,
        last,
    )
    return {(row[0], row[1]): Window(*row[2:]) for row in rows}


async def read_late(connection: "asyncpg.Connection") -> set[RecordId]:
    """Read which pins came too late for their window."""
    rows = await connection.fetch("SELECT source_log, source_partition, source_offset FROM late_pins")
    return {(row[0], row[1], row[2]) for row in rows}


def _uuid(value: UUID | None) -> UUID | None:
    # asyncpg's own class is no exact UUID, which a strict model refuses.
    return None if value is None else UUID(str(value))
