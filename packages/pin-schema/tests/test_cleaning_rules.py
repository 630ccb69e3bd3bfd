from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pin_schema import reference
from pin_schema.clean import CleanPin
from pin_schema.cleaning import clean, newest, split
from pin_schema.reference import Rejected
from pin_schema.spark_types import CLEAN_PIN, RAW_RECORD
from pin_schema.testing import clean_pin, frame, local_spark, raw_record, spark_outcomes
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads

pytestmark = pytest.mark.must(29)

TABLES = sorted(Path(__file__).with_name("truth_tables").glob("*.yaml"))
UPPER, LOWER = "FBE53C66-3442-4773-B19E-D3EC6F54DDDF", "fbe53c66-3442-4773-b19e-d3ec6f54dddf"


def said(outcome: CleanPin | Rejected, field: str) -> Any:
    """What a truth table can say of an outcome."""
    if isinstance(outcome, Rejected):
        return {"rejected": outcome.reason}
    return {"expected": outcome.model_dump(mode="json")[field]}


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_spark_and_the_reference_clean_as_the_truth_table_says(table: Path) -> None:
    truth = yaml.safe_load(table.read_text())
    raws = [raw_record(offset, **{truth["field"]: row["input"]}) for offset, row in enumerate(truth["rows"])]
    in_spark = spark_outcomes(raws)
    for row, raw, outcome in zip(truth["rows"], raws, in_spark, strict=True):
        expected = {key: row[key] for key in ("expected", "rejected") if key in row}
        assert said(outcome, truth["field"]) == expected, f"Spark: {row}"
        assert said(reference.clean(raw), truth["field"]) == expected, f"reference: {row}"


def test_the_cleaned_columns_are_those_of_clean_pin() -> None:
    cleaned = clean(frame([raw_record()])).schema
    assert [(f.name, f.dataType.simpleString()) for f in cleaned] == [
        (f.name, f.dataType.simpleString()) for f in CLEAN_PIN
    ]


def test_a_rejected_pin_stays_as_it_came() -> None:
    raw = raw_record(unique_id=UPPER, title=" No Title Data Available ", image_src=" ")
    _, rejected = split(frame([raw]))
    assert rejected.columns == [*RAW_RECORD.names, "reason"]
    assert rejected.select("unique_id", "title", "image_src", "reason").first() == (
        UPPER,
        " No Title Data Available ",
        " ",
        "no_image",
    )


def test_what_is_no_pin_is_rejected_for_the_rule_it_breaks() -> None:
    valid, rejected = split(frame([raw_record(0, unique_id=None, invalid="not_json"), raw_record(1)]))
    assert [row.source_offset for row in valid.collect()] == [1]
    assert [(row.source_offset, row.reason) for row in rejected.collect()] == [(0, "not_json")]


def versions() -> list[dict[str, Any]]:
    """One pin four times, in either case: the newest is rejected, two of the others share a millisecond."""
    times = [raw_record()["event_time"] + timedelta(milliseconds=ms) for ms in (5, 7, 7, 9)]
    pins = [raw_record(offset, unique_id=LOWER, event_time=time) for offset, time in enumerate(times)]
    pins[1] |= {"source_offset": 40, "unique_id": UPPER, "title": None}
    pins[3] |= {"image_src": None}
    return [*pins, raw_record(50)]


def numbered(records: DataFrame) -> DataFrame:
    """The records with the version that their lines would name, near enough."""
    return records.withColumn("version", F.unix_micros("event_time") + F.col("source_offset"))


def test_the_newest_valid_version_stands_though_a_newer_one_was_rejected() -> None:
    valid, rejected = split(frame(versions()))
    pins, rejects = reference.catalogue(versions())
    kept = {
        pin.unique_id: pin for pin in map(clean_pin, newest(numbered(clean(valid))).drop("version").collect())
    }
    assert kept == pins
    assert sorted(pin.source_offset for pin in pins.values()) == [40, 50]
    assert [row.source_offset for row in newest(numbered(rejected)).collect()] == [3]
    assert [reject.raw["source_offset"] for reject in rejects.values()] == [3]


def test_the_newest_version_is_the_same_before_and_after_cleaning() -> None:
    valid, _ = split(frame(versions()))
    assert sorted(clean(newest(numbered(valid))).collect()) == sorted(
        newest(numbered(clean(valid))).drop("version").collect()
    )


def test_a_stream_is_split_and_cleaned_as_a_batch_is(tmp_path: Path) -> None:
    source = str(tmp_path / "pins")
    frame(versions()).write.parquet(source)
    streams = split(local_spark().readStream.schema(RAW_RECORD).parquet(source))
    batches = split(frame(versions()))
    pairs = zip((clean(streams[0]), streams[1]), (clean(batches[0]), batches[1]), strict=True)
    for side, (stream, batch) in zip(("valid", "rejected"), pairs, strict=True):
        query = stream.writeStream.format("memory").queryName(side).trigger(availableNow=True).start()
        query.awaitTermination()
        assert sorted(local_spark().table(side).collect()) == sorted(batch.collect())
