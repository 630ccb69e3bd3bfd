"""Asking until somebody answers: how the services wait for what is away."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from service_runtime.clock import Clock

FIRST_PAUSE_SECONDS = 0.2
MAX_PAUSE_SECONDS = 5.0

T = TypeVar("T")


async def until_answered(
    ask: Callable[[], Awaitable[T]],
    not_now: type[Exception],
    clock: Clock,
    waiting: Callable[[str], None],
) -> T:
    """Return the first answer of `ask`; on `not_now` tell `waiting` why and ask again, ever more slowly."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await ask()
        except not_now as reason:
            waiting(str(reason))
        await clock.sleep(pause)
        pause = min(pause * 2, MAX_PAUSE_SECONDS)
