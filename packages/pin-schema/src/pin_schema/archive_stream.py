"""An object of the archive in bounded memory: it is decompressed in chunks and never held whole.

A body of 2 MB may hold 900 MB of lines, and a record of 20 KB on the wire 100 MB.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import zstandard

from pin_schema.archive import (
    ArchivedRecord,
    CorruptObject,
    ObjectKey,
    ObjectMetadata,
    decode_line,
    format_of,
    hour_of,
)
from pin_schema.archive_lines import FORMAT_1
from pin_schema.raw import MAX_PIN_BYTES
from pin_schema.versions import format_1_version

CHUNK_BYTES = 128 * 1024
# The largest record that the broker takes, in base64 and with its key, fits; a longer line is no pin's.
MAX_LINE_BYTES = 4 * 1024 * 1024
# What a decompressor holds: zstd's own advice for readers, and four times what the sink's level asks for.
MAX_WINDOW_BYTES = 8 * 1024 * 1024
_YEAR_10000 = 253_402_300_800_000
_HEAD = re.compile(rb'\{"partition":(\d+),"offset":(\d+),"timestamp":(\d+),(?:"version":(\d+),)?')


@dataclass(frozen=True, slots=True)
class VerifiedObject:
    """What a verified object holds: its last offset, number of records, uncompressed bytes and sha256."""

    end: int
    records: int
    line_bytes: int
    sha256: str


def verify(key: str, body: bytes, metadata: Mapping[str, str]) -> VerifiedObject:
    """Verify a whole object; raises CorruptObject naming what does not fit."""
    place, said = ObjectKey.parse(key), ObjectMetadata.from_dict(metadata)
    found = hashlib.sha256(body).hexdigest()
    if found != said.sha256:
        raise CorruptObject(f"sha256 is {found}, the metadata says {said.sha256}")
    first, last, version, count, line_bytes = None, -1, 0, 0, 0
    for line, size in _lines(body):
        record = _record(line, size, said.format)
        first = first or record
        if record.offset <= last or record.partition != place.partition:
            raise CorruptObject("the lines are not in offset order of one partition")
        if not (record.partition < 2**31 and record.offset < 2**63 and 0 <= record.timestamp < _YEAR_10000):
            raise CorruptObject(
                f"no record can be at {record.partition}, {record.offset}, {record.timestamp}"
            )
        if said.format != FORMAT_1 and record.version <= version:
            raise CorruptObject(f"the version of record {record.offset} is not above the one before")
        last, version, count, line_bytes = record.offset, record.version, count + 1, line_bytes + size
    if first is None or (first.offset, last, count) != (said.start, said.end, said.count):
        raise CorruptObject(f"the lines are not the {said.count} records {said.start}..{said.end}")
    if (place.start, place.hour) != (said.start, hour_of(first.timestamp)):
        raise CorruptObject("the key does not name the first record's offset and hour")
    _compare_with_format_2(place, said, version, line_bytes)
    return VerifiedObject(last, count, line_bytes, found)


def _compare_with_format_2(place: ObjectKey, said: ObjectMetadata, version: int, line_bytes: int) -> None:
    if place.log != said.log:
        raise CorruptObject(f"the key names log {place.log}, the metadata {said.log}")
    if said.line_bytes is not None and (version, line_bytes) != (said.end + said.lead, said.line_bytes):
        raise CorruptObject(
            f"the lines have {line_bytes} bytes and end with version {version}, the metadata says "
            f"{said.line_bytes} and {said.end + said.lead}"
        )


def records_of(key: str, body: bytes) -> Iterator[tuple[ArchivedRecord, int]]:
    """The records of a verified object, each with the bytes of its line; raises CorruptObject.

    Of a record that is longer than any pin's the value is cut: long enough to be `too_large` still.
    """
    archive_format = format_of(ObjectKey.parse(key))
    for line, size in _lines(body):
        yield _record(line, size, archive_format), size


def decode_object(key: str, body: bytes, metadata: Mapping[str, str]) -> list[ArchivedRecord]:
    """Verify a whole object and return its records at once; raises CorruptObject naming what does not fit."""
    verify(key, body, metadata)
    return [record for record, _ in records_of(key, body)]


def _record(line: bytes, size: int, archive_format: str) -> ArchivedRecord:
    if size <= MAX_LINE_BYTES:
        return decode_line(line, archive_format)
    head = _HEAD.match(line)
    if head is None:
        raise CorruptObject(f"a line of {size} bytes does not begin with a position")
    partition, offset, timestamp, version = (int(number or 0) for number in head.groups())
    version = version or format_1_version(offset, timestamp)
    return ArchivedRecord(partition, offset, timestamp, None, line[: MAX_PIN_BYTES + 1], version)


def _lines(body: bytes) -> Iterator[tuple[bytes, int]]:
    """Each line and its size, its end included; of one beyond MAX_LINE_BYTES its beginning."""
    held, size = b"", 0
    for chunk in _decompressed(body):
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            yield held + end, size + len(end) + 1
            held, size = b"", 0
        size += len(rest)
        if size <= MAX_LINE_BYTES:
            held += rest
    if size:
        raise CorruptObject("the last line has no end")


def _decompressed(body: bytes) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    try:
        yield from decompressor.read_to_iter(body, write_size=CHUNK_BYTES)
    except zstandard.ZstdError as error:
        raise CorruptObject(f"the body does not decompress: {error}") from error
