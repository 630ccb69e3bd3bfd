"""Named stops: what the job refuses to guess about. Each has a page in docs/runbooks."""

from service_runtime.stops import NamedStop


class StreamStop(NamedStop):
    """Going on would skip records or mix two logs."""

    stage = "stream"


class CheckpointDoesNotFit(StreamStop):
    """The checkpoint was made for another topic or another plan, or cannot be read."""

    reason = "checkpoint-does-not-fit"


class LedgerDisagrees(StreamStop):
    """The ledger's last batch is not the checkpoint's: one of the two comes from another time or place."""

    reason = "ledger-disagrees"


class LogTruncated(StreamStop):
    """The log has lost records that were read: it is shorter, or has another record at the same offset."""

    reason = "log-truncated"


class DeletedByRetention(StreamStop):
    """Records were deleted from the log before they were read."""

    reason = "deleted-by-retention"
