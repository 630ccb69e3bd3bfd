"""For tests: a Spark of one core, without UI or network, and raw pins to feed it (extra `spark`)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from pyspark.sql import DataFrame, Row, SparkSession

from pin_schema.clean import CleanPin
from pin_schema.cleaning import clean, split
from pin_schema.reference import Rejected
from pin_schema.spark_types import RAW_RECORD

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def local_spark() -> SparkSession:
    """The process's one local session; it takes about 8 s to start and ends with the process."""
    settings: dict[str, bool | float | int | str | None] = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.log.level": "ERROR",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    return SparkSession.Builder().master("local[1]").appName("tests").config(map=settings).getOrCreate()


def raw_record(offset: int = 0, **fields: Any) -> dict[str, Any]:
    """A record that is a pin: every column, `fields` over the defaults, one millisecond an offset."""
    defaults = dict.fromkeys(RAW_RECORD.names) | {
        "index": offset,
        "unique_id": str(UUID(int=offset)),
        "image_src": "https://example.org/a.jpg",
        "event_time": _EPOCH + timedelta(milliseconds=offset),
        "source_log": "t00c0ffee",
        "source_partition": 0,
        "source_offset": offset,
    }
    return defaults | fields


def frame(raws: Sequence[dict[str, Any]]) -> DataFrame:
    """The records as a DataFrame of RAW_RECORD."""
    return local_spark().createDataFrame(
        [tuple(raw[c] for c in RAW_RECORD.names) for raw in raws], RAW_RECORD
    )


def clean_pin(row: Row) -> CleanPin:
    """A cleaned row as CleanPin (Spark collects timestamps as naive local times)."""
    pin = row.asDict()
    pin |= {"unique_id": UUID(row.unique_id), "event_time": row.event_time.astimezone(UTC)}
    return CleanPin(**pin)


def spark_outcomes(raws: Sequence[dict[str, Any]]) -> list[CleanPin | Rejected]:
    """What Spark makes of each raw pin; their offsets must be their positions in `raws`."""
    valid, rejected = split(frame(raws))
    outcomes: dict[int, CleanPin | Rejected] = {
        row.source_offset: Rejected(row.reason, raws[row.source_offset]) for row in rejected.collect()
    }
    outcomes |= {row.source_offset: clean_pin(row) for row in clean(valid).collect()}
    return [outcomes[offset] for offset in range(len(raws))]
