"""Rows, and their versions."""

from datetime import UTC, datetime
from uuid import UUID

import pyarrow as pa
from batch_etl.tables import PINS, REJECTED
from cassandra.query import UNSET_VALUE
from pin_schema.clean import CleanPin


def test_every_column_of_a_clean_pin_is_written() -> None:
    assert set(PINS.columns) == {*CleanPin.model_fields, "version"}
    assert PINS.insert("pinterest").count("?") == len(PINS.columns) + 1


def test_a_row_has_the_values_of_the_statement_in_order() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    batch = pa.RecordBatch.from_pydict(
        {
            "unique_id": [str(UUID(int=5))],
            "reason": ["no_image"],
            "raw": [None],
            "event_time": pa.array([at], pa.timestamp("us", "UTC")),
            "source_log": ["t1"],
            "source_partition": [3],
            "source_offset": [1_234],
            "version": [77],
        }
    )
    milliseconds = int(at.timestamp()) * 1_000
    row = (UUID(int=5), "no_image", UNSET_VALUE, milliseconds, "t1", 3, 1_234, 77, 77)
    assert list(REJECTED.rows(batch)) == [row]
