"""Named stops: what the sink refuses to guess about. Each has a page in docs/runbooks."""

from service_runtime.stops import NamedStop


class ChainStop(NamedStop):
    """Archiving this partition would leave a hole or mix two logs."""

    stage = "sink"


class CommitBeyondArchive(ChainStop):
    """The group has committed offsets that no object holds: objects are missing from this bucket."""

    reason = "commit-beyond-archive"


class ArchiveAheadOfTopic(ChainStop):
    """The bucket holds offsets the log has not reached: another log, or one that lost its tail."""

    reason = "archive-ahead-of-topic"


class TopicRecreated(ChainStop):
    """The log holds another record than the archive at the same offset."""

    reason = "topic-recreated"


class DeletedByRetention(ChainStop):
    """Records were deleted from the log before they were archived."""

    reason = "deleted-by-retention"


class CorruptArchive(ChainStop):
    """The newest object's own metadata cannot be read."""

    reason = "corrupt-archive"
