"""The lines of the archive's objects: one record each, as JSON.

Format 2: `{"partition","offset","timestamp","version","key","headers":[{"name","value"}],"pin":{…}}`. The
timestamp is the broker's, in ms. In place of `pin` a value that is no JSON document stands as `value_base64`,
and a record without a value as `"tombstone":true`; a key or a header's value that is no UTF-8 stands as
`key_base64` or `value_base64`. Format 1 had neither `version` nor `headers`, and wrote a tombstone as
`"pin":null`.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import msgspec

from pin_schema.nesting import MAX_DEPTH, TooDeepError, check_depth
from pin_schema.versions import format_1_version

FORMAT_1, FORMAT_2 = "pins-archive/1", "pins-archive/2"
_WHITE_SPACE = b" \t"


class TopicRecord(Protocol):
    """A record as a consumer hands it over."""

    @property
    def offset(self) -> int:
        """Position in the partition."""

    @property
    def timestamp(self) -> int:
        """The broker's append time, in ms."""

    @property
    def key(self) -> bytes | None:
        """Partitioning key."""

    @property
    def value(self) -> bytes | None:
        """The payload; None is a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Header names and values, in order."""


class CorruptObject(ValueError):  # noqa: N818 (names a state of the object)
    """An object's body, metadata or key contradict each other; the message says where."""


@dataclass(frozen=True, slots=True)
class ArchivedRecord:
    """A record as it was in the topic; a value that was JSON has its line breaks replaced by spaces."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    version: int = 0
    headers: tuple[tuple[str, bytes | None], ...] = ()


class _Header(msgspec.Struct):
    name: str
    value: str | None = None
    value_base64: str | None = None


class _Line(msgspec.Struct):
    partition: int
    offset: int
    timestamp: int
    version: int | None = None
    key: str | None = None
    key_base64: str | None = None
    headers: list[_Header] = []
    pin: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    value_base64: str | None = None
    tombstone: bool = False


_line_decoder = msgspec.json.Decoder(_Line)


def is_json(value: bytes) -> bool:
    """Whether the value can stand in a line as it is: a JSON document any strict reader can read."""
    try:
        check_depth(value)
        msgspec.json.decode(value)
    except ValueError:
        return False
    return True


def encode_line(record: TopicRecord, partition: int, version: int, plain: bytes | None) -> bytes:
    """Return the line of a record in format 2; `plain` is its value on one line when that is JSON."""
    return b'{"partition":%d,"offset":%d,"timestamp":%d,"version":%d,%b,"headers":%b,%b}\n' % (
        partition,
        record.offset,
        record.timestamp,
        version,
        _text(b"key", record.key),
        _encode_headers(tuple(record.headers)),
        _encode_value(record.value, plain),
    )


def _encode_value(value: bytes | None, plain: bytes | None) -> bytes:
    if value is None:
        return b'"tombstone":true'
    if plain is not None:
        return b'"pin":%b' % plain
    return b'"value_base64":"%b"' % base64.b64encode(value)


@lru_cache(maxsize=256)  # the records of one producer bear the same headers
def _encode_headers(headers: tuple[tuple[str, bytes | None], ...]) -> bytes:
    each = (
        b'{"name":%b,%b}' % (msgspec.json.encode(name), _text(b"value", value)) for name, value in headers
    )
    return b"[%b]" % b",".join(each)


def _text(name: bytes, text: bytes | None) -> bytes:
    if text is None:
        return b'"%b":null' % name
    try:
        return b'"%b":%b' % (name, msgspec.json.encode(text.decode()))
    except UnicodeDecodeError:
        return b'"%b_base64":"%b"' % (name, base64.b64encode(text))


def decode_line(line: bytes, archive_format: str = FORMAT_2) -> ArchivedRecord:
    """Read a line back; raises CorruptObject."""
    around, deep_pin = _without_deep_pin(line)
    try:
        read = _line_decoder.decode(around)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptObject(f"a line does not decode: {error}") from error
    version = read.version
    return ArchivedRecord(
        read.partition,
        read.offset,
        read.timestamp,
        _bytes(read.key, read.key_base64),
        _value(read, line, archive_format) if deep_pin is None else deep_pin,
        format_1_version(read.offset, read.timestamp) if version is None else version,
        tuple((header.name, _bytes(header.value, header.value_base64)) for header in read.headers),
    )


def _without_deep_pin(line: bytes) -> tuple[bytes, bytes | None]:
    """The line, and None; of a pin that nests too deep for a reader, the line without it, and the pin.

    `is_json` keeps such a value as base64; it did not always.
    """
    try:
        check_depth(line, MAX_DEPTH + 1)
    except TooDeepError:
        # Inside of a string the quotes would be escaped: the first of these marks is the field itself.
        head, mark, pin = line.partition(b',"pin":')
        return head + b"}", pin.rstrip()[:-1] if mark else None
    return line, None


def _value(read: _Line, line: bytes, archive_format: str) -> bytes | None:
    if read.tombstone or read.pin is msgspec.UNSET:
        return _bytes(None, read.value_base64)
    pin = bytes(read.pin)
    if archive_format == FORMAT_1:
        return None if pin == b"null" else pin
    return _with_its_white_space(pin, line)


def _with_its_white_space(pin: bytes, line: bytes) -> bytes:
    """Return the value as it stands in its line, in which it is the last member."""
    members = line.rstrip(b"\n")[:-1]
    start = len(members.rstrip(_WHITE_SPACE)) - len(pin)
    while members[start - 1 : start] in (b" ", b"\t"):
        start -= 1
    return members[start:]


def _bytes(text: str | None, base64_text: str | None) -> bytes | None:
    if text is not None:
        return text.encode()
    return None if base64_text is None else base64.b64decode(base64_text)
