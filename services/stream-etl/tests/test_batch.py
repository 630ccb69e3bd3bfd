import pyarrow as pa
from stream_etl.batch import rows_by_table


def test_a_row_goes_to_the_table_whose_column_it_fills() -> None:
    pins = pa.array([{"idx": 1}, None, {"idx": 2}])
    windows = pa.array([None, {"pins": 7}, None])
    tables = rows_by_table(pa.RecordBatch.from_pydict({"pins": pins, "pin_windows": windows}))
    assert {name: rows.to_pylist() for name, rows in tables.items()} == {
        "pins": [{"idx": 1}, {"idx": 2}],
        "pin_windows": [{"pins": 7}],
    }


def test_a_table_without_rows_is_left_out() -> None:
    nothing = pa.array([None, None], pa.struct([("idx", pa.int64())]))
    tables = rows_by_table(pa.RecordBatch.from_pydict({"pins": nothing, "late": pa.array([{"a": 1}, None])}))
    assert list(tables) == ["late"]
