"""A steady rate: when the next pin is due, and an iterator that waits for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

BURST_SECONDS = 1.0


class Schedule:
    """Due times of pins at a rate a second, from time 0 on.

    Being late moves no later due time, so the rate does not drift; after a stall at most BURST_SECONDS' worth
    of pins is caught up at once, and the rest of the lost time is let go.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._origin = 0.0
        self._taken = 0

    def take(self, now: float) -> float:
        """Return when the next pin is due, which may be in the past."""
        due = self._due()
        if due < now - BURST_SECONDS:
            self._origin += now - BURST_SECONDS - due
            due = self._due()
        self._taken += 1
        return due

    def _due(self) -> float:
        # A product, not a sum of steps: a sum would gather rounding errors.
        return self._origin + self._taken / self._rate


async def paced(
    pins: Iterable[bytes], rate: float, *, duration: float | None, stop: asyncio.Event
) -> AsyncIterator[bytes]:
    """Yield pins as they are due, until `duration` seconds are over or `stop` is set."""
    schedule = Schedule(rate)
    start = time.monotonic()
    for pin in pins:
        now = time.monotonic() - start
        due = schedule.take(now)
        if duration is not None and due >= duration:
            await _sleep(duration - now, stop)
            return
        await _sleep(due - now, stop)
        if stop.is_set():
            return
        yield pin


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    if seconds > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
