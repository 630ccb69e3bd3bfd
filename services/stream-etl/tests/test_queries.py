"""The queries as Spark streams them, from files, held to the plain-Python windows and sessions."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from pin_schema import reference
from pin_schema.clean import CleanPin
from pin_schema.reference_windows import Session, Window, sessions, windows
from pin_schema.spark_types import RAW_RECORD
from pin_schema.testing import frame, local_spark, raw_record
from pyspark.sql import DataFrame
from stream_etl import queries
from stream_etl.batch import rows_by_table
from stream_etl.windows import WATERMARK_DELAY, interval

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
Raw = dict[str, Any]


def some_records(seed: int, how_many: int) -> list[Raw]:
    """Pins within a minute: few ids, so that many are versions of one; some are rejected."""
    chance = random.Random(seed)
    kinds = ["image", "video", "multi-video(story page format)", "gif", None]
    return [
        raw_record(
            offset,
            unique_id=str(UUID(int=chance.randrange(how_many // 2))),
            event_time=NOON + timedelta(milliseconds=offset * 60_000 // how_many),
            category=chance.choice(["art", " art ", "diy", "", None]),
            poster_name=chance.choice(["Ann", "Bob", "User Info Error", None]),
            follower_count=chance.choice(["35k", "1.5M", "User Info Error", None]),
            is_image_or_video=chance.choice(kinds),
            image_src=chance.choice(["https://example.org/a.jpg"] * 5 + ["Image src error."]),
        )
        for offset in range(how_many)
    ]


@pytest.fixture
def stream(tmp_path: Path) -> Callable[..., list[pa.Table]]:
    """Runs a query over batches of records, one file each, and returns the rows of each of its batches."""
    numbers = count()

    def run(plan: Callable[[DataFrame], DataFrame], mode: str, *batches: list[Raw]) -> list[pa.Table]:
        folder = tmp_path / str(next(numbers))
        for batch in batches:
            frame(batch).coalesce(1).write.mode("append").parquet(str(folder / "in"))
        source = local_spark().readStream.schema(RAW_RECORD).option("maxFilesPerTrigger", 1)
        records = source.parquet(str(folder / "in")).withWatermark("event_time", interval(WATERMARK_DELAY))
        found: list[pa.Table] = []
        query = plan(records).writeStream.outputMode(mode).option("checkpointLocation", str(folder / "state"))
        each_batch = query.foreachBatch(lambda rows, _: found.append(rows.toArrow()))
        each_batch.trigger(availableNow=True).start().awaitTermination()
        return found

    return run


def rows_of(table: str, rows: pa.Table) -> list[dict[str, Any]]:
    """The rows of a batch that belong to a table."""
    return [
        row
        for batch in rows.to_batches()
        for row in rows_by_table(batch).get(table, pa.table({})).to_pylist()
    ]


def clean(raws: list[Raw]) -> list[CleanPin]:
    return [pin for pin in map(reference.clean, raws) if isinstance(pin, CleanPin)]


def test_windows_and_rows_are_those_of_the_reference(stream: Callable[..., list[pa.Table]]) -> None:
    records = some_records(1, 400)
    found: dict[tuple[datetime, str | None], Window] = {}
    pins, rejected = set(), set()
    for rows in stream(queries.live, "update", records[:150], records[150:]):
        pins |= {row["source_offset"] for row in rows_of("pins", rows)}
        rejected |= {row["source_offset"] for row in rows_of("rejected_pins", rows)}
        for row in rows_of("pin_windows", rows):
            key = row.pop("window_start"), row.pop("category")
            assert row.pop("window_end") - key[0] == timedelta(seconds=10)
            found[key] = Window(**row)
    assert found == windows(clean(records))
    assert pins == {pin.source_offset for pin in clean(records)}
    assert rejected == set(range(400)) - pins


def test_a_record_that_is_rejected_moves_the_watermark_too(stream: Callable[..., list[pa.Table]]) -> None:
    late = raw_record(1, event_time=NOON)
    later = raw_record(0, event_time=NOON + HOUR, image_src=None)
    batches = stream(queries.live, "update", [later], [raw_record(2, event_time=NOON + HOUR)], [late])
    starts = [row["window_start"] for rows in batches for row in rows_of("pin_windows", rows)]
    assert starts == [NOON + HOUR]


def test_sessions_are_those_of_the_reference(stream: Callable[..., list[pa.Table]]) -> None:
    minutes = [0, 5, 10.0001, 13, 20, 20]
    records = [
        raw_record(
            i, event_time=NOON + timedelta(minutes=minute), poster_name=name, unique_id=str(UUID(int=i % 4))
        )
        for i, (minute, name) in enumerate(zip(minutes * 2, ["Ann"] * 6 + ["Bob", None] * 3, strict=True))
    ]
    end = [raw_record(99, event_time=NOON + HOUR, poster_name="Zoe")]
    found = [
        Session(row["poster_name"], row["session_start"], row["session_end"], row["pins"])
        for rows in stream(queries.sessions, "append", records, end)
        for row in rows_of("poster_sessions", rows)
    ]
    assert len(found) == len(set(found))
    assert set(found) == set(sessions(clean(records)))
