import hashlib
from datetime import UTC, datetime

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pin_schema.archive import (
    ArchivedRecord,
    CorruptObject,
    ObjectKey,
    ObjectMetadata,
    decode_line,
    decode_object,
    encode_line,
    hour_of,
)

pytestmark = pytest.mark.must(14, 15)

AT = int(datetime(2026, 11, 23, 15, 59, 59, 999000, tzinfo=UTC).timestamp() * 1000)


def an_object(lines: list[bytes] | None = None) -> tuple[str, bytes, dict[str, str]]:
    lines = lines or [
        encode_line(3, offset, AT + offset, b"k", b'{"index":1}', plain=True) for offset in (7, 8, 10)
    ]
    body = zstandard.compress(b"".join(lines))
    metadata = ObjectMetadata(7, 10, 3, AT + 7, AT + 10, hashlib.sha256(body).hexdigest())
    return str(ObjectKey(3, 7, hour_of(AT + 7))), body, metadata.to_dict()


def test_a_key_names_day_hour_partition_and_first_offset() -> None:
    key = ObjectKey(3, 123, hour_of(AT))
    assert str(key) == "raw/pins/dt=2026-11-23/hr=15/p=03/00000000000000000123.ndjson.zst"
    assert ObjectKey.parse(str(key)) == key


@given(st.integers(0, 9999), st.integers(0, 10**19), st.integers(0, 4_000_000_000_000))
def test_every_key_reads_back(partition: int, start: int, timestamp: int) -> None:
    key = ObjectKey(partition, start, hour_of(timestamp))
    assert ObjectKey.parse(str(key)) == key


@pytest.mark.parametrize("text", ["raw/pins/x", "raw/pins/dt=2026-11-23/hr=15/p=03/1.ndjson.zst"])
def test_a_foreign_key_is_refused(text: str) -> None:
    with pytest.raises(CorruptObject, match="not the key"):
        ObjectKey.parse(text)


@given(st.one_of(st.none(), st.binary(max_size=40)), st.one_of(st.none(), st.binary(max_size=40)))
def test_any_bytes_survive_a_line(key: bytes | None, value: bytes | None) -> None:
    line = encode_line(0, 5, AT, key, value, plain=False)
    assert line.count(b"\n") == 1
    assert decode_line(line) == ArchivedRecord(0, 5, AT, key, value)


def test_a_json_value_stands_in_the_line_as_it_came() -> None:
    value = '{"index": 1, "title": "Ёлка ®", "x": [1.0]}'.encode()
    line = encode_line(0, 5, AT, b"k", value, plain=True)
    assert b'"pin":' + value + b"}" in line
    assert decode_line(line).value == value


def test_a_whole_object_reads_back_with_its_gaps() -> None:
    assert [record.offset for record in decode_object(*an_object())] == [7, 8, 10]


def test_a_flipped_bit_is_found() -> None:
    key, body, metadata = an_object()
    with pytest.raises(CorruptObject, match="sha256"):
        decode_object(key, body[:-1] + bytes([body[-1] ^ 1]), metadata)


def test_lines_that_contradict_the_metadata_are_found() -> None:
    line = encode_line(3, 7, AT, None, b"{}", plain=True)
    with pytest.raises(CorruptObject, match=r"3 records 7\.\.10"):
        decode_object(*an_object([line]))


def test_lines_out_of_order_are_found() -> None:
    lines = [encode_line(3, offset, AT + 7, None, b"{}", plain=True) for offset in (7, 11, 10)]
    with pytest.raises(CorruptObject, match="offset order"):
        decode_object(*an_object(lines))


def test_an_object_filed_under_another_hour_is_found() -> None:
    _, body, metadata = an_object()
    with pytest.raises(CorruptObject, match="hour"):
        decode_object(str(ObjectKey(3, 7, hour_of(AT) + 5)), body, metadata)


def test_another_format_is_refused() -> None:
    key, body, metadata = an_object()
    with pytest.raises(CorruptObject, match="pins-archive/2"):
        decode_object(key, body, metadata | {"format": "pins-archive/2"})
