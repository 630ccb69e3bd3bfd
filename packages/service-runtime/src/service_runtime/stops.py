"""Named stops: what a service refuses to guess about, each with a page in docs/runbooks."""

from typing import ClassVar


class NamedStop(Exception):  # noqa: N818 (a decision, not a mistake)
    """Going on would lose, skip or mix records; a person must decide.

    `stage` and `reason` name the runbook: docs/runbooks/<stage>-<reason>.md.
    """

    stage: ClassVar[str]
    reason: ClassVar[str]

    def __str__(self) -> str:
        return f"{self.reason}: {super().__str__()}; see docs/runbooks/{self.stage}-{self.reason}.md"
