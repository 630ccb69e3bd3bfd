"""Rows, their timestamps, and how they are cut into batches."""

from datetime import UTC, datetime
from uuid import UUID

import pyarrow as pa
from batch_etl.tables import PINS, REJECTED, cut, write_timestamp
from hypothesis import given
from hypothesis import strategies as st
from pin_schema.clean import CleanPin

SIZES = st.lists(st.integers(min_value=0, max_value=100))


def test_a_later_event_wins_over_any_offset() -> None:
    assert write_timestamp(1_000, 0) > write_timestamp(999, 999_999)


def test_within_a_millisecond_the_later_offset_wins() -> None:
    assert write_timestamp(1_000, 41) < write_timestamp(1_000, 42)


def test_between_runs_a_millisecond_that_spans_a_multiple_of_1000_offsets_is_not_ordered() -> None:
    assert write_timestamp(1_000, 999) > write_timestamp(1_000, 1_000), "a limit that the docstring names"


def test_every_column_of_a_clean_pin_is_written() -> None:
    assert set(PINS.columns) == set(CleanPin.model_fields)
    assert PINS.insert("pinterest").count("?") == len(PINS.columns) + 1


def test_a_row_has_the_values_of_the_statement_in_order() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    batch = pa.RecordBatch.from_pydict(
        {
            "unique_id": [str(UUID(int=5))],
            "reason": ["no_image"],
            "raw": [None],
            "event_time": pa.array([at], pa.timestamp("us", "UTC")),
            "source_partition": [3],
            "source_offset": [1_234],
        }
    )
    milliseconds = int(at.timestamp()) * 1_000
    row = (UUID(int=5), "no_image", None, milliseconds, 3, 1_234, milliseconds * 1_000 + 234)
    assert list(REJECTED.rows(batch)) == [row]


@given(SIZES)
def test_batches_hold_all_rows_in_order_within_both_limits(sizes: list[int]) -> None:
    parts = [sizes[part] for part in cut(sizes, max_rows=4, max_bytes=120)]
    assert [size for part in parts for size in part] == sizes
    for part in parts:
        assert 1 <= len(part) <= 4
        assert sum(part) <= 120


def test_a_row_beyond_the_limit_is_alone() -> None:
    assert list(cut([1, 500, 1], max_rows=20, max_bytes=100)) == [slice(0, 1), slice(1, 2), slice(2, 3)]
