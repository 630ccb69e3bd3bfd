"""Named stops: what the sink refuses to guess about. Each has a page in docs/runbooks."""

from service_runtime.stops import NamedStop


class PartitionStop(NamedStop):
    """Archiving this partition would leave a hole or give one position to two records."""

    stage = "sink"
    # The stop stands until a record of this offset or a later one was read; -1: until any record follows.
    offset = -1


class CommitBeyondArchive(PartitionStop):
    """The group has committed offsets that no object holds: objects are missing from this bucket."""

    reason = "commit-beyond-archive"


class ArchiveAheadOfTopic(PartitionStop):
    """The bucket holds offsets that its log has not reached: the log lost its tail."""

    reason = "archive-ahead-of-topic"


class LogTruncated(PartitionStop):
    """The log holds another record than the archive at the same offset: it lost its tail and grew again."""

    reason = "log-truncated"


class DeletedByRetention(PartitionStop):
    """Records were deleted from the log before they were archived."""

    reason = "deleted-by-retention"


class UndecodableBatch(PartitionStop):
    """The next batch of the log cannot be decoded: going on behind it would leave a hole."""

    reason = "undecodable-batch"

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(f"what the log holds at {offset} cannot be decoded: {why}")
        self.offset = offset


class CorruptArchive(PartitionStop):
    """The newest object's own metadata cannot be read."""

    reason = "corrupt-archive"
