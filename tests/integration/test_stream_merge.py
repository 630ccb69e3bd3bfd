"""stream-etl's staging and merge on the real PostgreSQL: once, complete, and only what Spark has reported."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from native_stack.clients import live_dsn
from native_stack.stack import Stack
from pin_schema.versions import Versions
from prometheus_client import CollectorRegistry
from pyspark.sql import Row
from service_runtime.clock import SystemClock
from service_runtime.readiness import Readiness
from stream_etl import writer as writer_module
from stream_etl.batch import BatchName
from stream_etl.metrics import StreamMetrics
from stream_etl.postgres import Postgres, postgres_pool
from stream_etl.staging import Staged, stage_rows
from stream_etl.stops import LedgerDisagrees
from stream_etl.writer import Writer
from stream_program import fetch

pytestmark = pytest.mark.must(24, 25, 26, 27)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Rows = Sequence[dict[str, Any]]


@dataclass
class Stream:
    """One query's batches, staged as a Spark task does and merged as the driver does."""

    stack: Stack
    dsn: str
    writer: Writer
    query_id: str
    partition: int

    def name(self, number: int, query: str = "live") -> BatchName:
        return BatchName(query, self.query_id, number)

    async def stage(self, name: BatchName, **tables: Rows) -> Staged:
        """Stage the rows as one attempt of a task, in two chunks."""
        task = stage_rows(self.dsn, name)
        batch = batch_of(tables)
        chunks = [batch.slice(0, 1), batch.slice(1)]
        reports = await asyncio.to_thread(lambda: list(task(iter(chunks))))
        return Staged.of([Row(**row) for report in reports for row in report.to_pylist()])

    async def write(self, number: int, **tables: Rows) -> bool:
        """Stage and merge a batch."""
        query = "sessions" if "poster_sessions" in tables else "live"
        name = self.name(number, query)
        return await self.writer.write(name, await self.stage(name, **tables))

    async def fetch(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        return await fetch(self.stack, query, *arguments)

    async def offsets(self, table: str) -> list[int]:
        """The offsets of this stream's rows in a table."""
        rows = await self.fetch(
            f"SELECT source_offset FROM {table} WHERE source_partition = $1 ORDER BY 1", self.partition
        )
        return [row["source_offset"] for row in rows]

    async def batches(self) -> list[int]:
        """The batches in the ledger."""
        rows = await self.fetch(
            "SELECT batch_id FROM stream_batches WHERE query_id = $1 ORDER BY 1", self.query_id
        )
        return [row["batch_id"] for row in rows]

    async def staged(self) -> int:
        """How many rows are in the staging table."""
        rows = await self.fetch("SELECT count(*) FROM stream_staging WHERE query_id = $1", self.query_id)
        return int(rows[0]["count"])

    def pin(self, offset: int, seconds: float = 0, **fields: Any) -> dict[str, Any]:
        """A clean pin of this stream."""
        return {
            "unique_id": str(uuid.uuid5(uuid.UUID(self.query_id), str(offset))),
            "idx": offset,
            "image_src": "https://example.org/a.jpg",
            "event_time": NOON + timedelta(seconds=seconds),
            "source_log": "t1a2b3c4d",
            "source_partition": self.partition,
            "source_offset": offset,
        } | fields


def batch_of(tables: dict[str, Rows]) -> pa.RecordBatch:
    """As Spark hands them to a task: a column a table, a row belongs to one of them."""
    total = sum(map(len, tables.values()))
    columns, before = {}, 0
    for table, rows in tables.items():
        after = total - before - len(rows)
        columns[table] = pa.array([None] * before + list(rows) + [None] * after)
        before += len(rows)
    return pa.RecordBatch.from_pydict(columns)


@pytest.fixture(scope="module")
async def postgres(stack: Stack) -> AsyncIterator[Postgres]:
    async with postgres_pool(live_dsn(stack)) as pool:
        yield pool


@pytest.fixture
def stream(stack: Stack, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Stream:
    monkeypatch.setattr(writer_module, "STAGE_AGAIN_SECONDS", 0.01)
    registry = CollectorRegistry()
    dependency = Readiness(registry).dependency("postgres")
    writer = Writer(postgres, dependency, SystemClock(), StreamMetrics(registry))
    query_id = uuid.uuid4()
    return Stream(stack, live_dsn(stack), writer, str(query_id), query_id.int % 2**31)


def session(minute: int, pins: int, poster: str, end: int = 9) -> dict[str, Any]:
    times = {"session_start": NOON + timedelta(minutes=minute), "session_end": NOON + timedelta(minutes=end)}
    return {"poster_name": poster, "pins": pins} | times


async def test_a_batch_is_written_once_and_sessions_never_shrink(stream: Stream) -> None:
    poster = f"poster {stream.query_id}"
    for pins in (5, 9):
        assert await stream.write(0, poster_sessions=[session(0, pins, poster)])
    assert await stream.write(1, poster_sessions=[session(0, 3, poster)])
    rows = await stream.fetch("SELECT pins FROM poster_sessions WHERE poster_name = $1", poster)
    assert rows == [{"pins": 5}]
    assert await stream.staged() == 0


async def test_the_tail_of_a_known_session_is_no_session_of_its_own(stream: Stream) -> None:
    poster = f"poster {stream.query_id}"
    for number, (minute, pins) in enumerate([(0, 5), (2, 3), (9, 1)]):
        await stream.write(number, poster_sessions=[session(minute, pins, poster, max(9, minute + 1))])
    found = await stream.fetch(
        "SELECT session_start, pins FROM poster_sessions WHERE poster_name = $1 ORDER BY 1", poster
    )
    assert [tuple(row.values()) for row in found] == [(NOON, 5), (NOON + timedelta(minutes=9), 1)]


async def test_a_batch_whose_predecessor_the_database_lacks_is_a_named_stop(stream: Stream) -> None:
    with pytest.raises(LedgerDisagrees, match="does not hold batch 6"):
        await stream.write(7, pins=[stream.pin(0)])
    assert await stream.offsets("pins") == []


async def test_of_the_versions_in_a_batch_the_newest_is_merged_whatever_its_time(stream: Stream) -> None:
    pin = stream.pin(5, 10)
    versions = [pin | {"source_offset": 7, "event_time": NOON}, pin, pin | {"source_offset": 6}]
    assert await stream.write(0, pins=versions)
    assert await stream.offsets("pins") == [7]
    positions = await stream.fetch("SELECT * FROM stream_positions WHERE query_id = $1", stream.query_id)
    assert [row["source_offset"] for row in positions] == [7]


@pytest.mark.parametrize("offsets", [(999, 1000), (5, 1005)])
async def test_of_two_versions_of_one_time_the_later_offset_stands(
    stream: Stream, offsets: tuple[int, int]
) -> None:
    older, newer = (stream.pin(5) | {"source_offset": offset} for offset in offsets)
    await stream.write(0, pins=[older])
    await stream.write(1, pins=[newer])
    assert await stream.offsets("pins") == [offsets[1]]
    await stream.write(2, pins=[stream.pin(6, -100) | {"source_offset": offsets[1] + 1}])
    assert await versions(stream) == numbers((offsets[0], 0), (offsets[1], 0), (offsets[1] + 1, -100))[1:]


async def versions(stream: Stream) -> list[int]:
    rows = await stream.fetch(
        "SELECT version FROM pins WHERE source_partition = $1 ORDER BY 1", stream.partition
    )
    return [row["version"] for row in rows]


def numbers(*records: tuple[int, float]) -> list[int]:
    """The versions of records, given their offsets and times, by the rule in `pin_schema.versions`."""
    state = Versions()
    start = round(NOON.timestamp() * 1000)
    return [state.of(offset, start + round(seconds * 1000)) for offset, seconds in records]


async def test_what_is_rejected_counts_for_the_versions_behind_it(stream: Stream) -> None:
    rejected = stream.pin(1, 60) | {"reason": "no_image", "raw": "{}"}
    await stream.write(0, pins=[stream.pin(0), stream.pin(2)], rejected_pins=[rejected])
    assert await versions(stream) == [n for i, n in enumerate(numbers((0, 0), (1, 60), (2, 0))) if i != 1]


async def test_a_new_log_goes_on_above_what_the_old_one_reached(stream: Stream) -> None:
    await stream.write(0, pins=[stream.pin(7)])
    (reached,) = await versions(stream)
    anew = replace(stream, query_id=str(uuid.uuid4()))
    again = stream.pin(7, -100) | {"source_log": "t00000007", "source_offset": 0}
    await anew.write(0, pins=[again, stream.pin(8, -100) | {"source_log": "t00000007", "source_offset": 1}])
    assert await versions(stream) == [reached + 1, reached + 2]


@pytest.mark.parametrize(("seen", "late"), [(70, [2, 3]), (69.999, [])])
async def test_a_window_is_closed_when_the_watermark_reaches_its_end(
    stream: Stream, seen: float, late: list[int]
) -> None:
    assert await stream.write(0, rejected_pins=[stream.pin(0, seen) | {"reason": "no_image", "raw": "{}"}])
    assert await stream.write(1, pins=[stream.pin(1)])
    assert await stream.offsets("late_pins") == [], "of the batches up to the last but one nothing was seen"
    assert await stream.write(2, pins=[stream.pin(2), stream.pin(3, 9.999), stream.pin(4, 10)])
    assert await stream.offsets("late_pins") == late


async def test_only_the_attempts_that_spark_reports_are_merged_and_the_others_are_deleted(
    stream: Stream,
) -> None:
    name = stream.name(0)
    await stream.stage(name, pins=[stream.pin(0), stream.pin(1)])
    reported = await stream.stage(name, pins=[stream.pin(2)])
    assert await stream.staged() == 3
    assert await stream.writer.write(name, reported)
    assert await stream.offsets("pins") == [2]
    assert await stream.staged() == 0


async def test_a_driver_that_comes_late_with_a_batch_changes_nothing(stream: Stream) -> None:
    name = stream.name(0)
    late = await stream.stage(name, pins=[stream.pin(0)])
    assert await stream.write(0, pins=[stream.pin(1)])
    assert await stream.writer.write(name, late)
    assert await stream.offsets("pins") == [1]


async def test_a_task_that_cannot_stage_its_rows_says_why_and_the_batch_is_staged_again(
    stream: Stream,
) -> None:
    name = stream.name(0)
    elsewhere = replace(stream, dsn="postgresql://nobody@127.0.0.1:1/none")
    refused = await elsewhere.stage(name, pins=[stream.pin(0)])
    assert "Connect" in str(refused.fault)
    assert not await stream.writer.write(name, refused)
    assert await stream.batches() == []


async def lost_rows_fail_the_batch(stream: Stream) -> None:
    """PostgreSQL is killed between the last COPY and the merge: nothing of the batch is written."""
    name = stream.name(0)
    pins = [stream.pin(0), stream.pin(1)]
    staged = await stream.stage(name, pins=pins)
    assert await stream.staged() == 2
    stream.stack.kill("postgres")
    stream.stack.wait_ready("postgres")
    assert await stream.staged() == 0, "a crash empties an UNLOGGED table"
    assert not await stream.writer.write(name, staged)
    assert await stream.batches() == []
    assert await stream.write(0, pins=pins)
    assert await stream.offsets("pins") == [0, 1]


async def test_a_staging_table_that_lost_its_rows_fails_the_batch(stream: Stream) -> None:
    await lost_rows_fail_the_batch(stream)


async def test_without_the_comparison_of_counts_lost_rows_would_be_merged_as_none(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "require_all_staged", lambda *_: None)
    with pytest.raises(AssertionError, match="assert not True"):
        await lost_rows_fail_the_batch(stream)
    assert await stream.batches() == [0]
    assert await stream.offsets("pins") == []


async def test_rows_of_one_table_that_are_lost_are_missed_too(stream: Stream) -> None:
    name = stream.name(0)
    staged = await stream.stage(
        name, pins=[stream.pin(0)], rejected_pins=[stream.pin(1) | {"reason": "no_image", "raw": "{}"}]
    )
    more = replace(staged, rows={**staged.rows, (staged.attempts[0], "pin_windows"): 1})
    assert not await stream.writer.write(name, more)
    assert await stream.writer.write(name, staged)


async def test_what_an_abandoned_query_has_left_is_deleted_a_day_later(stream: Stream) -> None:
    await stream.stage(stream.name(0), pins=[stream.pin(0), stream.pin(1)])
    await stream.fetch(
        "UPDATE stream_staging SET staged_at = now() - interval '25 hours' "
        "WHERE query_id = $1 AND source_offset = 0",
        stream.query_id,
    )
    await stream.writer.written(str(uuid.uuid4()))
    assert await stream.staged() == 1
    await stream.fetch("DELETE FROM stream_staging WHERE query_id = $1", stream.query_id)
