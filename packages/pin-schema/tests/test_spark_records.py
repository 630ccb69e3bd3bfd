import pyarrow as pa
import pytest
from pin_schema import spark_records
from pin_schema.spark_records import ARROW_RECORD, UNREADABLE, judged
from pin_schema.spark_types import RAW_RECORD
from pin_schema.testing import local_spark
from pin_schema.wire import WirePin, decode, encode

ID = "fbe53c66-3442-4773-b19e-d3ec6f54dddf"
PIN = b'{"index":1,"unique_id":"%s","title":"a","unknown":[1],"title":"b"}' % ID.encode()


def judged_values(*values: bytes | None) -> list[dict[str, object]]:
    times = pa.array([1_000_000] * len(values), pa.timestamp("us", "UTC"))
    places = pa.array(range(len(values)))
    rows: list[dict[str, object]] = judged("t1", times, places, places, values).to_pylist()
    return rows


def test_a_pin_becomes_its_fields_its_position_and_the_text_as_it_came() -> None:
    (row,) = judged_values(PIN)
    assert row["unique_id"] == ID
    assert row["title"] == "b", "the last duplicate wins"
    assert row["value"] == PIN.decode()
    assert (row["source_partition"], row["source_offset"], row["invalid"]) == (0, 0, None)


@pytest.mark.parametrize(
    ("value", "text", "reason"),
    [
        (None, None, "no_value"),
        (b"", "", "not_json"),
        (b"\xff\x00{}", "\ufffd\ufffd{}", "not_utf8"),
        (b'{"index":1}', '{"index":1}', "missing"),
        (b"{'index':1}", "{'index':1}", "not_json"),
    ],
)
def test_what_is_no_pin_keeps_its_text_and_the_reason(
    value: bytes | None, text: str | None, reason: str
) -> None:
    _, row = judged_values(PIN, value)
    assert (row["value"], row["invalid"]) == (text, reason)
    assert row["unique_id"] is None
    assert (row["source_partition"], row["source_offset"]) == (1, 1)


def test_a_record_that_breaks_its_reader_is_a_row_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode_or_break(value: bytes) -> tuple[WirePin, int]:
        if value == b"odd":
            raise RecursionError
        return decode(value)

    monkeypatch.setattr(spark_records, "decode", decode_or_break)
    assert [row["invalid"] for row in judged_values(PIN, b"odd", PIN)] == [None, UNREADABLE, None]


def test_no_records_are_an_empty_batch() -> None:
    assert judged_values() == []


def test_spark_takes_the_rows_as_records() -> None:
    times = pa.array([1_000], pa.timestamp("us", "UTC"))
    batch = judged("t1", times, pa.array([3]), pa.array([4]), [encode(WirePin(1, ID))])
    frame = local_spark().createDataFrame(pa.Table.from_batches([batch]), RAW_RECORD)
    assert frame.schema == RAW_RECORD
    assert frame.select("unique_id", "source_offset").first() == (ID, 4)
    assert batch.schema == ARROW_RECORD
