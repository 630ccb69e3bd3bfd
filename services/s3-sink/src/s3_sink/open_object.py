"""The object being filled: records in, sealed objects out. No I/O and no clock of its own.

What is here takes CPU, so the sink runs it in a thread, one call at a time.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import zstandard
from pin_schema.archive import ObjectKey, ObjectMetadata, encode_line, hour_of, is_json, record_sha256
from pin_schema.logs import log_name
from pin_schema.versions import Versions
from pin_schema.wire import NO_VALUE, InvalidPin, decode, one_line
from service_runtime.broker import Record

# Longer dead letters are cut: with its headers a letter must fit where its record did.
MAX_LETTER_BYTES = 1024 * 1024
# Lines wait for the compressor in portions of this size, or one by one when they are longer.
PORTION_BYTES = 1024 * 1024
# Half of what the level would take: 1 MiB makes objects 0.1 % larger.
WINDOW_LOG = 20


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record whose value is no pin, and the rule it breaks; `value` may be cut from `value_bytes`."""

    reason: str
    offset: int
    key: bytes | None
    value: bytes
    value_bytes: int

    @property
    def held_bytes(self) -> int:
        """Memory held by the letter."""
        return len(self.value) + len(self.key or b"")


@dataclass(frozen=True, slots=True)
class SealedObject:
    """An object ready to be stored, with the dead letters that must be safe before it."""

    key: ObjectKey
    metadata: ObjectMetadata
    body: bytes
    dead_letters: tuple[DeadLetter, ...]

    @property
    def held_bytes(self) -> int:
        """Memory held by the object and its letters."""
        return len(self.body) + sum(letter.held_bytes for letter in self.dead_letters)


@dataclass(frozen=True, slots=True)
class Source:
    """A partition of a log, and the numbering of its records' versions so far."""

    topic_id: UUID
    partition: int
    versions: Versions


class OpenObject:
    """Consecutive records of one partition and one hour, compressed as they come."""

    def __init__(self, source: Source, first: Record, opened_at: float, compression_level: int) -> None:
        self.opened_at = opened_at
        self.first_timestamp = first.timestamp
        self.line_bytes = 0
        self._source = source
        log, hour = log_name(source.topic_id), hour_of(first.timestamp)
        self._key = ObjectKey(log, source.partition, first.offset, hour)
        self._count = 0
        self._last: Record | None = first
        self._end, self._last_timestamp, self._last_sha256 = first.offset, first.timestamp, ""
        self._lines: list[bytes] = []
        self._waiting_bytes = 0
        self._dead_letters: list[DeadLetter] = []
        parameters = zstandard.ZstdCompressionParameters.from_level(compression_level, window_log=WINDOW_LOG)
        self._compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        self._compressed: list[bytes] = []
        # The compressor's own memory counts too: there is one a partition.
        self._held_bytes: int = int(parameters.estimated_compression_context_size()) + 2**WINDOW_LOG

    @property
    def held_bytes(self) -> int:
        """Memory held by the object, its letters and its compressor."""
        return self._held_bytes

    def takes(self, record: Record) -> bool:
        """Whether the record belongs here: a later hour does not, a small step back in time does."""
        return hour_of(record.timestamp) <= self._key.hour

    def append(self, record: Record) -> None:
        """Add the record after the last one."""
        line = self._line(record)
        self._lines.append(line)
        self._waiting_bytes += len(line)
        self.line_bytes += len(line)
        self._count += 1
        self._last = record
        if self._waiting_bytes >= PORTION_BYTES:
            self.compress()

    def _line(self, record: Record) -> bytes:
        value, plain = record.value, None
        reason = _fault(value)
        if value is not None and (reason is None or is_json(value)):
            plain = one_line(value)
        if reason is not None:
            self._set_aside(reason, record)
        version = self._source.versions.of(record.offset, record.timestamp)
        return encode_line(record, self._source.partition, version, plain)

    def _set_aside(self, reason: str, record: Record) -> None:
        value = record.value or b""
        letter = DeadLetter(reason, record.offset, record.key, value[:MAX_LETTER_BYTES], len(value))
        self._dead_letters.append(letter)
        self._held_bytes += letter.held_bytes

    def compress(self) -> None:
        """Compress what has been appended since the last call, and let go of its records."""
        for line in self._lines:
            self._keep(self._compressor.compress(line))
        self._lines.clear()
        self._waiting_bytes = 0
        if self._last is not None:
            self._end, self._last_timestamp = self._last.offset, self._last.timestamp
            self._last_sha256 = record_sha256(self._last.key, self._last.value)
            self._last = None

    def _keep(self, chunk: bytes) -> None:
        if chunk:
            self._compressed.append(chunk)
            self._held_bytes += len(chunk)

    def seal(self) -> SealedObject:
        """Finish the object."""
        self.compress()
        self._keep(self._compressor.flush())
        body = b"".join(self._compressed)
        metadata = ObjectMetadata(
            start=self._key.start,
            end=self._end,
            count=self._count,
            first_ts=self.first_timestamp,
            last_ts=self._last_timestamp,
            sha256=hashlib.sha256(body).hexdigest(),
            topic_id=self._source.topic_id,
            line_bytes=self.line_bytes,
            lead=self._source.versions.lead,
            last_sha256=self._last_sha256,
        )
        return SealedObject(self._key, metadata, body, tuple(self._dead_letters))


@dataclass(frozen=True, slots=True)
class Filled:
    """What became of some records: objects that are full, and the one that is open."""

    sealed: Sequence[SealedObject]
    open: OpenObject | None


@dataclass(frozen=True, slots=True)
class Filler:
    """Makes objects of a source's records: full at `max_bytes` of lines, and at the end of an hour."""

    source: Source
    max_bytes: int
    compression_level: int

    def fill(self, opened: OpenObject | None, records: Sequence[Record], now: float) -> Filled:
        """Append records that follow the open object's last one."""
        sealed: list[SealedObject] = []
        for record in records:
            if opened is not None and not opened.takes(record):
                sealed.append(opened.seal())
                opened = None
            if opened is None:
                opened = OpenObject(self.source, record, now, self.compression_level)
            opened.append(record)
            if opened.line_bytes >= self.max_bytes:
                sealed.append(opened.seal())
                opened = None
        if opened is not None:
            opened.compress()
        return Filled(sealed, opened)


def _fault(value: bytes | None) -> str | None:
    """Return the rule the value breaks, or None for a pin."""
    if value is None:
        return NO_VALUE
    try:
        decode(value)
    except InvalidPin as invalid:
        return invalid.reason
    return None
