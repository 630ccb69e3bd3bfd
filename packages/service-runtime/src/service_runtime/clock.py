"""Time as a dependency, so that flush ages, deadlines and backoff are tested without waiting."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """The three things the services ask of time."""

    def monotonic(self) -> float:
        """Seconds on a clock that never steps back."""
        ...

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` on this clock."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Seconds on a clock that never steps back."""
        return time.monotonic()

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` in real time."""
        await asyncio.sleep(seconds)
