import pyarrow as pa
from stream_etl.batch import last_of_each


def test_the_last_of_each_key_is_the_greatest_by_all_of_the_order() -> None:
    rows = pa.table({"id": ["b", "a", "a", "a"], "time": [1, 2, 2, 1], "offset": [0, 5, 7, 9]})
    assert last_of_each("id", rows, "time", "offset").to_pylist() == [
        {"id": "a", "time": 2, "offset": 7},
        {"id": "b", "time": 1, "offset": 0},
    ]


def test_of_no_rows_none_is_the_last() -> None:
    rows = pa.table({"id": pa.array([], pa.string()), "time": pa.array([], pa.int64())})
    assert last_of_each("id", rows, "time").to_pylist() == []
