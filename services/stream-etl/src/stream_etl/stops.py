"""Named stops: what the job refuses to guess about. Each has a page in docs/runbooks."""


class StreamStop(Exception):  # noqa: N818 (a decision, not a mistake)
    """Going on would skip records or mix two logs; a person must decide.

    `reason` names the runbook: docs/runbooks/stream-<reason>.md.
    """

    reason: str

    def __str__(self) -> str:
        return f"{self.reason}: {super().__str__()}; see docs/runbooks/stream-{self.reason}.md"


class CheckpointDoesNotFit(StreamStop):
    """The checkpoint was made for another topic or another plan, or cannot be read."""

    reason = "checkpoint-does-not-fit"


class LedgerDisagrees(StreamStop):
    """The ledger's last batch is not the checkpoint's: one of the two comes from another time or place."""

    reason = "ledger-disagrees"


class TopicRecreated(StreamStop):
    """The log is not the one that was read: shorter, or with another record at the same offset."""

    reason = "topic-recreated"


class DeletedByRetention(StreamStop):
    """Records were deleted from the log before they were read."""

    reason = "deleted-by-retention"
