"""The object being filled: records in, a sealed object out. Pure: no I/O, no clock of its own."""

import hashlib
from dataclasses import dataclass, field

import zstandard
from pin_schema.archive import ObjectKey, ObjectMetadata, encode_line, hour_of, is_json
from pin_schema.wire import NO_VALUE, InvalidPin, decode, one_line
from service_runtime.broker import Record


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record whose value is no pin, and the rule it breaks."""

    reason: str
    record: Record


@dataclass(frozen=True, slots=True)
class SealedObject:
    """An object ready to be stored, with the dead letters that must be safe before it."""

    key: ObjectKey
    metadata: ObjectMetadata
    body: bytes
    dead_letters: tuple[DeadLetter, ...]


@dataclass
class OpenObject:
    """Consecutive records of one partition and one hour, compressed as they come."""

    partition: int
    first: Record
    opened_at: float
    compression_level: int
    count: int = 0
    line_bytes: int = 0
    dead_letters: list[DeadLetter] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.last = self.first
        self._hour = hour_of(self.first.timestamp)
        self._lines: list[bytes] = []
        self._compressor = zstandard.ZstdCompressor(level=self.compression_level).compressobj()
        self._compressed: list[bytes] = []
        self._compressed_bytes = 0

    @property
    def buffered_bytes(self) -> int:
        """Memory held by what was compressed."""
        return self._compressed_bytes

    def takes(self, record: Record) -> bool:
        """Whether the record belongs here: a later hour does not, a small step back in time does."""
        return hour_of(record.timestamp) <= self._hour

    def append(self, record: Record) -> None:
        """Add the record after the last one."""
        line = self._line(record)
        self._lines.append(line)
        self.line_bytes += len(line)
        self.count += 1
        self.last = record

    def _line(self, record: Record) -> bytes:
        value, plain = record.value, False
        reason = _fault(value)
        if value is not None and (reason is None or is_json(value)):
            value, plain = one_line(value), True
        if reason is not None:
            self.dead_letters.append(DeadLetter(reason, record))
        return encode_line(self.partition, record.offset, record.timestamp, record.key, value, plain=plain)

    def compress(self) -> None:
        """Compress what has been appended since the last call."""
        self._keep(self._compressor.compress(b"".join(self._lines)))
        self._lines.clear()

    def _keep(self, chunk: bytes) -> None:
        self._compressed.append(chunk)
        self._compressed_bytes += len(chunk)

    def seal(self) -> SealedObject:
        """Finish the object."""
        self.compress()
        self._keep(self._compressor.flush())
        body = b"".join(self._compressed)
        metadata = ObjectMetadata(
            start=self.first.offset,
            end=self.last.offset,
            count=self.count,
            first_ts=self.first.timestamp,
            last_ts=self.last.timestamp,
            sha256=hashlib.sha256(body).hexdigest(),
        )
        key = ObjectKey(self.partition, self.first.offset, self._hour)
        return SealedObject(key, metadata, body, tuple(self.dead_letters))


def _fault(value: bytes | None) -> str | None:
    """Return the rule the value breaks, or None for a pin."""
    if value is None:
        return NO_VALUE
    try:
        decode(value)
    except InvalidPin as invalid:
        return invalid.reason
    return None
