"""What the exit code of a job means to its schedule: services/batch-etl/README.md."""

from enum import Enum


class Outcome(Enum):
    """What becomes of the task."""

    DONE = "done"
    WARNED = "done, with something to look at"
    SKIPPED = "nothing to do"
    AGAIN = "tried again"
    FAILED = "failed: no second try would end better"


MEANINGS: dict[int, tuple[Outcome, str]] = {
    0: (Outcome.DONE, "done"),
    10: (Outcome.SKIPPED, "nothing to do"),
    11: (Outcome.WARNED, "done, with input set aside: docs/runbooks/batch-sets-input-aside.md"),
    12: (Outcome.FAILED, "its memory does not suffice: docs/runbooks/batch-lacks-memory.md"),
    75: (Outcome.AGAIN, "a dependency stayed away: docs/runbooks/batch-exits-75.md"),
    130: (Outcome.AGAIN, "it was interrupted"),
    137: (Outcome.AGAIN, "it was killed, by a person or for its memory"),
    143: (Outcome.AGAIN, "it was stopped"),
    78: (Outcome.FAILED, "a setting is missing or wrong: its log names the variable"),
    2: (Outcome.FAILED, "its arguments are wrong: the command in the compose file"),
}


def meaning(code: int) -> tuple[Outcome, str]:
    """Outcome and words for an exit code; one that nobody knows is a bug."""
    return MEANINGS.get(code, (Outcome.FAILED, "a bug: its log has the traceback"))
