"""Where a log's archive goes on, and whether the records read there follow. Pure.

The bucket is the truth; the group's commit is a hint, and counts only when it names the log.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

from pin_schema.archive import ObjectKey, ObjectMetadata, record_sha256
from service_runtime.broker import Commit, Record

from s3_sink.stops import ArchiveAheadOfTopic, DeletedByRetention, LogTruncated


@dataclass(frozen=True, slots=True)
class LogRange:
    """The first offset that a partition still holds, and the offset after its last."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Bookmark:
    """What our commits say beside the offset: the log, its newest object, its last time (ms) and lead."""

    offset: int
    log: str
    object: str
    last_ts: int
    lead: int

    @classmethod
    def read(cls, commit: Commit | None) -> Self | None:
        """Return what a commit says; None when it is not one of ours: Kafka's tools write none of this."""
        if commit is None:
            return None
        try:
            found = cls(commit.offset, **json.loads(commit.metadata))
            ObjectKey.parse(found.object)
        except (ValueError, TypeError):
            return None
        return found

    @property
    def metadata(self) -> str:
        """What the commit says beside the offset."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "offset"})


@dataclass(frozen=True, slots=True)
class LastRecord:
    """The last archived record: the log must still hold it, with this time (ms) and, if known, this hash."""

    offset: int
    timestamp: int
    sha256: str | None

    def is_the_same_as(self, record: Record) -> bool:
        """Whether a record of the log is this one."""
        if (record.offset, record.timestamp) != (self.offset, self.timestamp):
            return False
        return self.sha256 in {None, record_sha256(record.key, record.value)}


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The first offset to archive, and the record just before it when the log still holds that one."""

    offset: int
    last_record: LastRecord | None = None

    @property
    def read_from(self) -> int:
        """Where to seek: the last record is read again, to be compared."""
        return self.offset if self.last_record is None else self.last_record.offset


def behind(newest: ObjectMetadata, log: LogRange) -> ResumePoint:
    """Return where the archive of a log goes on; raises the PartitionStop that says why it must not."""
    offset = newest.end + 1
    if offset > log.end:
        raise ArchiveAheadOfTopic(f"the archive goes on at {offset}, the log ends at {log.end}")
    require_undeleted(offset, log.start)
    if newest.end < log.start:
        return ResumePoint(offset)
    return ResumePoint(offset, LastRecord(newest.end, newest.last_ts, newest.last_sha256))


def require_undeleted(offset: int, log_start: int) -> None:
    """Raise DeletedByRetention when the log begins behind the next offset to archive."""
    if offset < log_start:
        raise DeletedByRetention(
            f"the archive goes on at {offset}, the log begins at {log_start}: "
            f"records {offset}..{log_start - 1} are gone"
        )


def following(records: Sequence[Record], point: ResumePoint, log_start: int) -> Sequence[Record]:
    """Return the records to append, or raise the PartitionStop that says why they do not follow.

    The last record, when there is one, is compared unless retention took it meanwhile. Offsets may jump
    (transactions leave markers), but not over records that retention deleted, nor back.
    """
    last = point.last_record
    if last is not None and log_start <= last.offset:
        if not last.is_the_same_as(records[0]):
            raise LogTruncated(
                f"the archive's last record is {last.offset} of {last.timestamp} ms; there the log holds "
                f"another one or none, found {records[0].offset} of {records[0].timestamp} ms"
            )
        records = records[1:]
    require_undeleted(point.offset, log_start)
    if records and records[0].offset < point.offset:
        raise LogTruncated(f"expected offset {point.offset}, the log went back to {records[0].offset}")
    return records
