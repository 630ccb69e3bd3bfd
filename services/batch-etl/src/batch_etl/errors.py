"""What ends a run early, in the one distinction a scheduler makes: try again, or look."""


class Retryable(Exception):  # noqa: N818 (a state of the world)
    """The same command may succeed later."""


class DependencyAway(Retryable):
    """A neighbour did not answer for as long as the job waits."""


class StageLost(Retryable):
    """What a run had staged is no longer whole: evicted, expired or flushed."""


class Interrupted(Exception):  # noqa: N818 (a wish, not a mistake)
    """Somebody asked the run to stop."""


class Unbalanced(Exception):  # noqa: N818 (a state of the numbers)
    """The counts do not add up: these objects are not recorded as loaded."""
