"""Objects are verified and read in bounded memory, and read alike by either way."""

import tracemalloc
from collections.abc import Callable

import pytest
import zstandard
from pin_schema import archive_stream
from pin_schema.archive import ArchivedRecord, CorruptObject
from pin_schema.archive_stream import MAX_LINE_BYTES, records_of, verify
from pin_schema.archive_testing import Object, line_of, object_of
from pin_schema.wire import InvalidPin, decode

pytestmark = pytest.mark.must(14, 19)

AT = 1_790_000_000_000
PIN = b'{"index": 1, "unique_id": "00000000-0000-0000-0000-000000000001"}'


def record(offset: int, value: bytes | None = PIN) -> ArchivedRecord:
    return ArchivedRecord(3, offset, AT + offset, b"k", value, (AT + offset) * 1000)


def line(offset: int) -> bytes:
    return line_of(record(offset))


def an_object(*lines: bytes, start: int = 7, end: int | None = None) -> Object:
    """An object that says it holds the records from start to end, and holds these lines."""
    last = start + len(lines) - 1 if end is None else end
    said = [record(offset) for offset in range(start, last + 1)] or [record(start)]
    text = b"".join(lines)
    return object_of(said, zstandard.compress(text), line_bytes=len(text))


def test_an_object_is_read_as_it_was_written() -> None:
    records = [record(7 + n, PIN if n % 3 else None) for n in range(5_000)]
    whole = object_of(records)
    said = verify(*whole)
    assert (said.end, said.records) == (5_006, 5_000)
    assert said.line_bytes == int(whole[2]["line_bytes"]) == sum(len(line_of(each)) for each in records)
    read = list(records_of(*whole[:2]))
    assert [each for each, _ in read] == records
    assert sum(size for _, size in read) == said.line_bytes


def test_one_record_of_100_mib_is_read_within_a_few_and_is_too_large() -> None:
    # Made in pieces: the test holds no more than the reader.
    head, rest = line_of(record(8, b'"'))[:-2].replace(b"value_base64", b"pin"), b'"}\n'
    compressor = zstandard.ZstdCompressor().compressobj()
    parts = [line(7), head, *[b"x" * 2**20] * 100, rest, line(9)]
    body = b"".join(map(compressor.compress, parts)) + compressor.flush()
    key, _, said = object_of([record(7), record(8), record(9)], body, line_bytes=sum(map(len, parts)))
    assert len(body) < 100_000
    tracemalloc.start()
    verified = verify(key, body, said)
    read = [each for each, _ in records_of(key, body)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert verified.line_bytes > 100 * 2**20
    assert peak < 4 * MAX_LINE_BYTES
    assert [(each.offset, each.timestamp) for each in read] == [(n, AT + n) for n in (7, 8, 9)]
    assert [each.version for each in read] == [(AT + n) * 1000 for n in (7, 8, 9)]
    with pytest.raises(InvalidPin) as refused:
        decode(read[1].value or b"")
    assert refused.value.reason == "too_large"
    assert read[2].value == PIN


def damaged(change: Callable[[Object], Object]) -> Object:
    return change(an_object(line(7), line(8)))


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (damaged(lambda o: (o[0], o[1][:-1], o[2])), "sha256"),
        (damaged(lambda o: ("raw/pins/.DS_Store", *o[1:])), "not the key"),
        (damaged(lambda o: (*o[:2], {})), "format"),
        (an_object(line(7), line(9)), "records 7..8"),
        (an_object(line(8), line(7)), "offset order"),
        (an_object(line(7), b'{"partition":3'), "no end"),
        (an_object(line(7), b"[1]\n"), "does not decode"),
        (
            an_object(line(7)[:-1] + b" " * MAX_LINE_BYTES + b"\n", b"x" * (MAX_LINE_BYTES + 1) + b"\n"),
            "position",
        ),
        (an_object(end=7), "1 records"),
        (an_object(line(7), start=6, end=7), "records 6..7"),
    ],
)
def test_what_does_not_verify_says_why(broken: Object, why: str) -> None:
    with pytest.raises(CorruptObject, match=why):
        verify(*broken)


@pytest.mark.parametrize("body", [b"", b"no zstd", zstandard.compress(b"x" * 100)[:-4]])
def test_a_body_that_does_not_decompress_is_corrupt(body: bytes) -> None:
    with pytest.raises(CorruptObject):
        verify(*object_of([record(7)], body))


def test_a_window_that_would_cost_more_memory_than_any_sink_asks_for_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    compressor = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    body = compressor.compress(line(7)) + compressor.flush()
    with pytest.raises(CorruptObject, match="does not decompress"):
        verify(*object_of([record(7)], body))
    assert archive_stream.MAX_WINDOW_BYTES < 2**27
