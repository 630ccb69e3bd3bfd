"""Keys, metadata and lines of the archive: what the sink writes, every reader reads back, in both formats."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pin_schema.archive import (
    ArchivedRecord,
    CorruptObject,
    ObjectKey,
    ObjectMetadata,
    encode_line,
    hour_of,
)
from pin_schema.archive_lines import decode_line
from pin_schema.archive_stream import decode_object
from pin_schema.archive_testing import LOG, Object, object_of
from pin_schema.logs import FORMAT_1_LOG, log_name
from pin_schema.versions import Versions

pytestmark = pytest.mark.must(14, 15)

AT = int(datetime(2026, 11, 23, 15, 59, 59, 999000, tzinfo=UTC).timestamp() * 1000)
GOLDEN = Path(__file__).with_name("golden_objects")


def a_record(offset: int, value: bytes | None = b"{}", **more: Any) -> ArchivedRecord:
    return ArchivedRecord(3, offset, AT + 7, more.pop("key", b"k"), value, **more)


def line_of(record: ArchivedRecord, version: int = 1, *, plain: bool = True) -> bytes:
    return encode_line(record, 3, version, record.value if plain else None)


def an_object(offsets: tuple[int, ...] = (7, 8, 10)) -> Object:
    """An object that says it holds the records 7, 8 and 10, and holds these."""
    records = {offset: a_record(offset, version=AT * 1000 + offset) for offset in (7, 8, 10, 11)}
    lines = b"".join(line_of(records[offset], AT * 1000 + offset) for offset in offsets)
    body = zstandard.compress(lines)
    return object_of([records[7], records[8], records[10]], body, line_bytes=len(lines))


def test_a_key_names_log_day_hour_partition_and_first_offset() -> None:
    key = ObjectKey(LOG, 3, 123, hour_of(AT))
    assert str(key) == "raw/pins/log=t1a2b3c4d/dt=2026-11-23/hr=15/p=03/00000000000000000123.ndjson.zst"
    assert ObjectKey.parse(str(key)) == key


def test_a_key_of_format_1_names_no_log() -> None:
    key = ObjectKey(FORMAT_1_LOG, 3, 123, hour_of(AT))
    assert str(key) == "raw/pins/dt=2026-11-23/hr=15/p=03/00000000000000000123.ndjson.zst"
    assert ObjectKey.parse(str(key)) == key


@given(
    st.one_of(st.just(FORMAT_1_LOG), st.uuids().map(log_name)),
    st.integers(0, 9999),
    st.integers(0, 10**19),
    st.integers(0, 4_000_000_000_000),
)
def test_every_key_reads_back(log: str, partition: int, start: int, timestamp: int) -> None:
    key = ObjectKey(log, partition, start, hour_of(timestamp))
    assert ObjectKey.parse(str(key)) == key


@pytest.mark.parametrize("text", ["raw/pins/x", "raw/pins/dt=2026-11-23/hr=15/p=03/1.ndjson.zst"])
def test_a_foreign_key_is_refused(text: str) -> None:
    with pytest.raises(CorruptObject, match="not the key"):
        ObjectKey.parse(text)


SOME_BYTES = st.one_of(st.none(), st.binary(max_size=40))
HEADERS = st.lists(st.tuples(st.text(max_size=5), SOME_BYTES), max_size=3).map(tuple)


@given(SOME_BYTES, SOME_BYTES, HEADERS)
def test_any_bytes_survive_a_line(
    key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes | None], ...]
) -> None:
    record = a_record(5, value, key=key, headers=headers, version=9)
    line = line_of(record, 9, plain=False)
    assert line.count(b"\n") == 1
    assert decode_line(line) == record


def test_a_json_value_stands_in_the_line_as_it_came() -> None:
    value = '{"index": 1, "title": "Ёлка ®", "x": [1.0]}'.encode()
    line = line_of(a_record(5, value))
    assert b'"pin":' + value + b"}" in line
    assert decode_line(line).value == value


@pytest.mark.parametrize("value", [b" {} ", b"\t[1, 2]  ", b"null", b" null", b'"}"', b"1 "])
def test_white_space_around_a_value_stays(value: bytes) -> None:
    assert decode_line(line_of(a_record(5, value))).value == value


def test_a_tombstone_and_the_value_null_differ() -> None:
    tombstone, null = line_of(a_record(5, None)), line_of(a_record(5, b"null"))
    assert (decode_line(tombstone).value, decode_line(null).value) == (None, b"null")


@pytest.mark.parametrize("number", [1, 2])
def test_objects_written_long_ago_are_read(number: int) -> None:
    golden = json.loads((GOLDEN / f"pins-archive-{number}.json").read_text())
    found = decode_object(golden["key"], base64.b64decode(golden["body"]), golden["metadata"])
    fields = [(r.offset, r.timestamp, in_base64(r.key), in_base64(r.value)) for r in found]
    assert [list(each) for each in fields] == [each[:4] for each in golden["records"]]
    more = [[r.version, [[name, in_base64(value)] for name, value in r.headers]] for r in found]
    assert more == [each[4:] or [each[1] * 1000 + each[0] % 1000, []] for each in golden["records"]]


def in_base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


@pytest.mark.parametrize("number", [1, 2])
def test_metadata_reads_back(number: int) -> None:
    told = json.loads((GOLDEN / f"pins-archive-{number}.json").read_text())["metadata"]
    assert ObjectMetadata.from_dict(told).to_dict() == told


def test_versions_go_on_above_those_of_format_1() -> None:
    told = json.loads((GOLDEN / "pins-archive-1.json").read_text())["metadata"]
    last = ObjectMetadata.from_dict(told)
    assert last.log == FORMAT_1_LOG
    assert Versions(last.lead).of(last.end + 1, 0) == last.last_ts * 1000 + 1000


def test_a_whole_object_reads_back_with_its_gaps() -> None:
    assert [record.offset for record in decode_object(*an_object())] == [7, 8, 10]


def test_a_flipped_bit_is_found() -> None:
    key, body, metadata = an_object()
    with pytest.raises(CorruptObject, match="sha256"):
        decode_object(key, body[:-1] + bytes([body[-1] ^ 1]), metadata)


def test_lines_that_contradict_the_metadata_are_found() -> None:
    with pytest.raises(CorruptObject, match=r"3 records 7\.\.10"):
        decode_object(*an_object((7,)))


def test_lines_out_of_order_are_found() -> None:
    with pytest.raises(CorruptObject, match="offset order"):
        decode_object(*an_object((7, 10, 8)))


def test_an_object_filed_under_another_hour_or_log_is_found() -> None:
    _, body, metadata = an_object()
    with pytest.raises(CorruptObject, match="hour"):
        decode_object(str(ObjectKey(LOG, 3, 7, hour_of(AT) + 5)), body, metadata)
    with pytest.raises(CorruptObject, match="the key names log t00000000"):
        decode_object(str(ObjectKey(FORMAT_1_LOG, 3, 7, hour_of(AT + 7))), body, metadata)


def test_versions_that_contradict_the_metadata_are_found() -> None:
    key, body, metadata = an_object()
    with pytest.raises(CorruptObject, match="end with version"):
        decode_object(key, body, metadata | {"lead": "5"})


def test_another_format_is_refused() -> None:
    key, body, metadata = an_object()
    with pytest.raises(CorruptObject, match="pins-archive/3"):
        decode_object(key, body, metadata | {"format": "pins-archive/3"})
