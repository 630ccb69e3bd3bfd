"""What a run is, from its start to its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from batch_etl.accounting import Account
from batch_etl.exits import Exit

_STATUS = {Exit.DONE: "done", Exit.NOTHING_TO_DO: "nothing_to_do", Exit.SET_ASIDE: "set_aside"}


@dataclass(slots=True)
class Run:
    """One run, filled in as it goes on.

    `planned` counts the objects to load by day; `too_large` are those set aside that the memory cannot hold.
    """

    staging: str
    run_id: UUID = field(default_factory=uuid4)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    planned: Mapping[str, int] = field(default_factory=dict)
    account: Account = field(default_factory=Account)
    set_aside: dict[str, str] = field(default_factory=dict)
    too_large: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    stages_lost: int = 0
    exit: Exit = Exit.DONE
    error: str | None = None

    @property
    def status(self) -> str:
        """The word for how it ended."""
        return _STATUS.get(self.exit, "failed")
