"""Asking until somebody answers, where there is no event loop: in Spark's tasks and the job's thread."""

import time
from collections.abc import Callable
from typing import TypeVar

from service_runtime.patience import FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS

T = TypeVar("T")


def patiently(
    call: Callable[[], T],
    not_now: tuple[type[Exception], ...],
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return the first answer; on `not_now` call again, ever more slowly, and raise it after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return call()
        except not_now:
            if time.monotonic() + pause > deadline:
                raise
        sleep(pause)
        pause = min(pause * 2, MAX_PAUSE_SECONDS)
