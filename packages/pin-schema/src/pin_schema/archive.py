"""The border between the sink and the batch job: keys, metadata and lines of the archive's objects.

An object holds consecutive records of one partition, in offset order, one JSON line each, zstd-compressed:
`{"partition","offset","timestamp","key","pin":{…}}`. `timestamp` is the broker's, in ms. A value that is no
JSON document is kept as `value_base64` in place of `pin`; a tombstone has `"pin":null`.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Self

import msgspec
import zstandard

FORMAT = "pins-archive/1"
PREFIX = "raw/pins/"
MS_PER_HOUR = 3_600_000

_KEY = re.compile(r"raw/pins/dt=(\d{4}-\d{2}-\d{2})/hr=(\d{2})/p=(\d{2,})/(\d{20})\.ndjson\.zst", re.ASCII)


class CorruptObject(ValueError):  # noqa: N818 (names a state of the object)
    """An object's body, metadata or key contradict each other; the message says where."""


def hour_of(timestamp: int) -> int:
    """Return the hour since the epoch in which a record of this time (ms) is filed."""
    return timestamp // MS_PER_HOUR


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """Where an object lies: a function of its first record alone."""

    partition: int
    start: int
    hour: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key back; raises CorruptObject for anything this module did not write."""
        found = _KEY.fullmatch(text)
        if found is None:
            raise CorruptObject(f"{text!r} is not the key of an archive object")
        day, hour, partition, start = found.groups()
        midnight = datetime.fromisoformat(f"{day}T00:00:00+00:00")
        return cls(int(partition), int(start), int(midnight.timestamp()) // 3600 + int(hour))

    def __str__(self) -> str:
        return f"{partition_prefix(self.hour, self.partition)}{self.start:020d}.ndjson.zst"


def partition_prefix(hour: int, partition: int) -> str:
    """Return the prefix of one partition's objects of one hour."""
    return f"{datetime.fromtimestamp(hour * 3600, UTC):{PREFIX}dt=%Y-%m-%d/hr=%H/}p={partition:02d}/"


@dataclass(frozen=True, slots=True)
class ObjectMetadata:
    """What an object says of itself: offsets inclusive, times in ms, sha256 of the compressed body."""

    start: int
    end: int
    count: int
    first_ts: int
    last_ts: int
    sha256: str

    def to_dict(self) -> dict[str, str]:
        """Return the user metadata of the object."""
        return {name: str(value) for name, value in asdict(self).items()} | {"format": FORMAT}

    @classmethod
    def from_dict(cls, metadata: Mapping[str, str]) -> Self:
        """Read user metadata; raises CorruptObject when it is not of this format."""
        if metadata.get("format") != FORMAT:
            raise CorruptObject(f"format is {metadata.get('format')!r}, expected {FORMAT!r}")
        try:
            numbers = {name: int(metadata[name]) for name in ("start", "end", "count", "first_ts", "last_ts")}
            return cls(**numbers, sha256=metadata["sha256"])
        except (KeyError, ValueError) as error:
            raise CorruptObject(f"the object's metadata is incomplete: {error}") from error


@dataclass(frozen=True, slots=True)
class ArchivedRecord:
    """A record as it was in the topic; a value that was JSON has its line breaks replaced by spaces."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class _Line(msgspec.Struct):
    partition: int
    offset: int
    timestamp: int
    key: str | None = None
    key_base64: str | None = None
    pin: msgspec.Raw = msgspec.Raw(b"null")
    value_base64: str | None = None


_line_decoder = msgspec.json.Decoder(_Line)


def is_json(value: bytes) -> bool:
    """Whether the value can stand in a line as it is: a JSON document any strict reader can read."""
    try:
        msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def encode_line(
    partition: int, offset: int, timestamp: int, key: bytes | None, value: bytes | None, *, plain: bool
) -> bytes:
    """Return the line of a record; `plain` says that `value` is one JSON document on one line."""
    if value is None:
        payload = b'"pin":null'
    elif plain:
        payload = b'"pin":%b' % value
    else:
        payload = b'"value_base64":"%b"' % base64.b64encode(value)
    return b'{"partition":%d,"offset":%d,"timestamp":%d,%b,%b}\n' % (
        partition,
        offset,
        timestamp,
        _encode_key(key),
        payload,
    )


def _encode_key(key: bytes | None) -> bytes:
    if key is None:
        return b'"key":null'
    try:
        return b'"key":%b' % msgspec.json.encode(key.decode())
    except UnicodeDecodeError:
        return b'"key_base64":"%b"' % base64.b64encode(key)


def decode_line(line: bytes) -> ArchivedRecord:
    """Read a line back; raises CorruptObject."""
    try:
        read = _line_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptObject(f"a line does not decode: {error}") from error
    key = read.key.encode() if read.key is not None else _from_base64(read.key_base64)
    pin = bytes(read.pin)
    value = pin if pin != b"null" else _from_base64(read.value_base64)
    return ArchivedRecord(read.partition, read.offset, read.timestamp, key, value)


def _from_base64(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def decode_object(key: str, body: bytes, metadata: Mapping[str, str]) -> list[ArchivedRecord]:
    """Verify a whole object and return its records; raises CorruptObject naming what does not fit."""
    place, said = ObjectKey.parse(key), ObjectMetadata.from_dict(metadata)
    found = hashlib.sha256(body).hexdigest()
    if found != said.sha256:
        raise CorruptObject(f"sha256 is {found}, the metadata says {said.sha256}")
    try:
        text = zstandard.ZstdDecompressor().decompressobj().decompress(body)
    except zstandard.ZstdError as error:
        raise CorruptObject(f"the body does not decompress: {error}") from error
    records = [decode_line(line) for line in text.splitlines()]
    _check_records(records, place, said)
    return records


def _check_records(records: list[ArchivedRecord], place: ObjectKey, said: ObjectMetadata) -> None:
    offsets = [record.offset for record in records]
    if not offsets or (offsets[0], offsets[-1], len(offsets)) != (said.start, said.end, said.count):
        raise CorruptObject(f"the lines are not the {said.count} records {said.start}..{said.end}")
    if offsets != sorted(set(offsets)) or {record.partition for record in records} != {place.partition}:
        raise CorruptObject("the lines are not in offset order of one partition")
    if (place.start, place.hour) != (said.start, hour_of(records[0].timestamp)):
        raise CorruptObject("the key does not name the first record's offset and hour")
