"""Named stops: what the sink refuses to guess about. Each has a page in docs/runbooks."""


class ChainStop(Exception):  # noqa: N818 (a decision, not a mistake)
    """Archiving this partition would leave a hole or mix two logs; a person must decide.

    `reason` names the runbook: docs/runbooks/sink-<reason>.md.
    """

    reason: str

    def __str__(self) -> str:
        return f"{self.reason}: {super().__str__()}; see docs/runbooks/sink-{self.reason}.md"


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
