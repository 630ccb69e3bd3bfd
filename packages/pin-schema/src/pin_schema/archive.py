"""The border between the sink and the batch job: keys and metadata of the archive's objects.

An object holds consecutive records of one partition of one log, in offset order, a line each
(`archive_lines`), zstd-compressed. Objects of format 1 do not name their log.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from pin_schema.archive_lines import (
    FORMAT_1,
    FORMAT_2,
    ArchivedRecord,
    CorruptObject,
    decode_line,
    encode_line,
    is_json,
)
from pin_schema.logs import FORMAT_1_LOG, NO_TOPIC, log_name
from pin_schema.versions import greatest_format_1_version, lead_after

__all__ = [
    "FORMAT_1_OWNER",
    "PREFIX",
    "ArchivedRecord",
    "CorruptObject",
    "ObjectKey",
    "ObjectMetadata",
    "decode_line",
    "encode_line",
    "format_of",
    "hour_of",
    "is_json",
    "log_prefix",
    "partition_prefix",
    "record_sha256",
]

PREFIX = "raw/pins/"
FORMAT_1_OWNER = "raw/pins/format-1-owner"
"Key of the one object that is no archive object: its metadata name the topic that format 1 was written from."
MS_PER_HOUR = 3_600_000

_KEY = re.compile(
    r"raw/pins/(?:log=(t[0-9a-f]{8})/)?dt=(\d{4}-\d{2}-\d{2})/hr=(\d{2})/p=(\d{2,})/(\d{20})\.ndjson\.zst",
    re.ASCII,
)


def hour_of(timestamp: int) -> int:
    """Return the hour since the epoch in which a record of this time (ms) is filed."""
    return timestamp // MS_PER_HOUR


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """Where an object lies: a function of its first record's position and time alone."""

    log: str
    partition: int
    start: int
    hour: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key back; raises CorruptObject for anything this module did not write."""
        found = _KEY.fullmatch(text)
        if found is None:
            raise CorruptObject(f"{text!r} is not the key of an archive object")
        log, day, hour, partition, start = found.groups()
        midnight = datetime.fromisoformat(f"{day}T00:00:00+00:00")
        hours = int(midnight.timestamp()) // 3600 + int(hour)
        return cls(log or FORMAT_1_LOG, int(partition), int(start), hours)

    def __str__(self) -> str:
        return f"{partition_prefix(self.log, self.hour, self.partition)}{self.start:020d}.ndjson.zst"


def log_prefix(log: str) -> str:
    """Return the prefix of a log's objects; that of format 1 holds the prefixes of all other logs too."""
    return PREFIX if log == FORMAT_1_LOG else f"{PREFIX}log={log}/"


def partition_prefix(log: str, hour: int, partition: int) -> str:
    """Return the prefix of one partition's objects of one hour."""
    return f"{log_prefix(log)}{datetime.fromtimestamp(hour * 3600, UTC):dt=%Y-%m-%d/hr=%H/}p={partition:02d}/"


@dataclass(frozen=True, slots=True)
class ObjectMetadata:
    """What an object says of itself: offsets inclusive, times in ms, sha256 of the compressed body.

    Format 1 had neither the topic's id nor what follows it. `line_bytes` is the size of the uncompressed
    lines, `lead` the state of `versions.Versions` behind the last record, `last_sha256` the `record_sha256`
    of that record.
    """

    start: int
    end: int
    count: int
    first_ts: int
    last_ts: int
    sha256: str
    topic_id: UUID
    line_bytes: int | None
    lead: int
    last_sha256: str | None

    @property
    def log(self) -> str:
        """The short name of the log."""
        return log_name(self.topic_id)

    @property
    def format(self) -> str:
        """The format of the object."""
        return FORMAT_1 if self.topic_id == NO_TOPIC else FORMAT_2

    def to_dict(self) -> dict[str, str]:
        """Return the user metadata of the object."""
        told = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        return {name: told[name] for name in _FIELDS[self.format]} | {"format": self.format}

    @classmethod
    def from_dict(cls, metadata: Mapping[str, str]) -> Self:
        """Read user metadata; raises CorruptObject when it is not of a format we know."""
        archive_format = metadata.get("format")
        if archive_format not in _FIELDS:
            raise CorruptObject(f"format is {archive_format!r}, expected one of {', '.join(_FIELDS)}")
        try:
            told = {name: _FIELDS[archive_format][name](metadata[name]) for name in _FIELDS[archive_format]}
        except (KeyError, ValueError) as error:
            raise CorruptObject(f"the object's metadata is incomplete: {error}") from error
        if archive_format == FORMAT_1:
            told |= _unsaid_by_format_1(told["end"], told["last_ts"])
        return cls(**told)


_Readers = dict[str, Callable[[str], Any]]
_FORMAT_1_FIELDS: _Readers = {
    **dict.fromkeys(("start", "end", "count", "first_ts", "last_ts"), int),
    "sha256": str,
}
_FIELDS: dict[str, _Readers] = {
    FORMAT_1: _FORMAT_1_FIELDS,
    FORMAT_2: _FORMAT_1_FIELDS | {"topic_id": UUID, "line_bytes": int, "lead": int, "last_sha256": str},
}


def _unsaid_by_format_1(end: int, last_ts: int) -> dict[str, Any]:
    lead = lead_after(greatest_format_1_version(last_ts), end + 1)
    return {"topic_id": NO_TOPIC, "line_bytes": None, "lead": lead, "last_sha256": None}


def record_sha256(key: bytes | None, value: bytes | None) -> str:
    """Return what tells a record from another one at its position."""
    told = hashlib.sha256()
    for part in (key, value):
        told.update(b"-" if part is None else b"%d:%b" % (len(part), part))
    return told.hexdigest()


def format_of(key: ObjectKey) -> str:
    """Return the format of the object at a key."""
    return FORMAT_1 if key.log == FORMAT_1_LOG else FORMAT_2
