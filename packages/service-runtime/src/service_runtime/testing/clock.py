"""A clock that moves only when a test moves it."""

import asyncio
import heapq
import itertools


class FakeClock:
    """Time stands still until `advance`; sleepers wake in the order of their deadlines."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._start = now
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self._start + self._elapsed

    def jump(self, seconds: float) -> None:
        """Let the calendar move on while nobody sleeps."""
        self._start += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has advanced the clock by `seconds`."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move time on, letting each sleeper run at its own deadline."""
        until = self._elapsed + seconds
        await settle()  # who has just started may want to sleep
        while self._sleepers and self._sleepers[0][0] <= until:
            deadline, _, woken = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, deadline)
            if not woken.done():
                woken.set_result(None)
            await settle()
        self._elapsed = until
        await settle()


async def settle(turns: int = 1000) -> None:
    """Let every task that can run do so; raises RuntimeError when some never come to rest."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    for _ in range(turns):
        await asyncio.sleep(0)
        if not ready:  # all others wait for something that a test has yet to do
            return
    raise RuntimeError(f"after {turns} turns there are tasks that wait for nothing")
