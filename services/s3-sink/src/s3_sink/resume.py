"""Where to go on: the bucket is the truth, the group's commit only a hint. Pure."""

from dataclasses import dataclass

from pin_schema.archive import ObjectMetadata

from s3_sink.stops import ArchiveAheadOfTopic, CommitBeyondArchive, DeletedByRetention


@dataclass(frozen=True, slots=True)
class Proof:
    """The last archived record: the log must still hold it, with this timestamp (ms)."""

    offset: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The first offset to archive, and the record just before it when the log still holds that one."""

    offset: int
    proof: Proof | None

    @property
    def read_from(self) -> int:
        """Where to seek: the proof is read again, to be compared."""
        return self.offset if self.proof is None else self.proof.offset


def resume_point(
    newest: ObjectMetadata | None, committed: int | None, log_start: int, log_end: int
) -> ResumePoint:
    """Return where the partition's chain goes on, or raise the ChainStop that says why it must not."""
    offset = log_start if newest is None else newest.end + 1
    if committed is not None and committed > offset:
        raise CommitBeyondArchive(
            f"the group has committed {committed}, the archive goes on at {offset}: "
            f"records {offset}..{committed - 1} would be missing"
        )
    if offset > log_end:
        raise ArchiveAheadOfTopic(f"the archive goes on at {offset}, the log ends at {log_end}")
    if offset < log_start:
        raise DeletedByRetention(
            f"the archive goes on at {offset}, the log begins at {log_start}: "
            f"records {offset}..{log_start - 1} are gone"
        )
    in_log = newest is not None and newest.end >= log_start
    return ResumePoint(offset, Proof(newest.end, newest.last_ts) if newest and in_log else None)
