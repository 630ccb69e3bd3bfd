"""For tests: archive objects of format 2, from records or from lines."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

import zstandard

from pin_schema.archive import ObjectKey, ObjectMetadata, encode_line, hour_of, is_json, record_sha256
from pin_schema.archive_lines import ArchivedRecord
from pin_schema.logs import log_name
from pin_schema.versions import MICROSECONDS

TOPIC = UUID("1a2b3c4d-0000-4000-8000-000000000000")
LOG = log_name(TOPIC)

Object = tuple[str, bytes, dict[str, str]]
"Key, body and metadata."


def line_of(record: ArchivedRecord) -> bytes:
    """Return the record's line."""
    plain = record.value if record.value is not None and is_json(record.value) else None
    return encode_line(record, record.partition, record.version, plain)


def records_from(
    offset: int,
    values: Sequence[bytes | None],
    timestamp: int,
    *,
    partition: int = 0,
    key: bytes | None = b"key",
) -> list[ArchivedRecord]:
    """Return records of consecutive offsets, a millisecond each; a later one has a greater version."""
    places = [(offset + number, timestamp + number) for number in range(len(values))]
    return [
        ArchivedRecord(partition, place, at, key, value, at * MICROSECONDS + place)
        for (place, at), value in zip(places, values, strict=True)
    ]


def object_of(
    records: Sequence[ArchivedRecord],
    body: bytes | None = None,
    *,
    line_bytes: int | None = None,
    topic_id: UUID = TOPIC,
) -> Object:
    """Return an object that says it holds the records; of another body also how long its lines are."""
    lines = b"".join(map(line_of, records))
    body = zstandard.compress(lines) if body is None else body
    first, last = records[0], records[-1]
    metadata = ObjectMetadata(
        start=first.offset,
        end=last.offset,
        count=len(records),
        first_ts=first.timestamp,
        last_ts=last.timestamp,
        sha256=hashlib.sha256(body).hexdigest(),
        topic_id=topic_id,
        line_bytes=len(lines) if line_bytes is None else line_bytes,
        lead=last.version - last.offset,
        last_sha256=record_sha256(last.key, last.value),
    )
    key = ObjectKey(log_name(topic_id), first.partition, first.offset, hour_of(first.timestamp))
    return str(key), body, metadata.to_dict()
