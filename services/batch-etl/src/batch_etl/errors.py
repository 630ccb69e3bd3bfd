"""What ends a run early, in the one distinction a scheduler makes: try again, or look."""


class Retryable(Exception):  # noqa: N818 (a state of the world)
    """The same command may succeed later."""


class DependencyAway(Retryable):
    """A neighbour did not answer for as long as the job waits."""


class StageLost(Retryable):
    """What a run had staged is no longer whole: evicted, expired or flushed."""


class RedisTooSmall(StageLost):
    """Redis has no room for what is to be staged."""


class ObjectChanged(Retryable):
    """An object is gone, or another one, since it was verified."""


class OutOfMemoryError(Exception):
    """Not even single objects fit the memory that Spark and its workers have."""


class Interrupted(Exception):  # noqa: N818 (a wish, not a mistake)
    """Somebody asked the run to stop."""


class Unbalanced(Exception):  # noqa: N818 (a state of the numbers)
    """The counts do not add up: these objects are not recorded as loaded."""
