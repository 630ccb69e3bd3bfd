"""Bytes are taken from one budget before they are read; what does not fit is refused at its header."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import Gauge

BULK_SHARE = 0.75
"""Of the budget, for POST /pins: single pins go on while large bodies arrive, or never do."""


class BudgetSpent(Exception):  # noqa: N818 (a state, not a mistake)
    """The bytes do not fit now; nothing of the request is kept."""


class Room:
    """What one request holds of the budget, from its header until its pins have left for Kafka."""

    def __init__(self, admission: "Admission", limit: float) -> None:
        self._admission = admission
        self._limit = limit
        self._size = 0
        self._kept = False

    def take(self, size: int) -> None:
        """Take `size` bytes more; raises BudgetSpent."""
        if self._admission.taken + size > self._limit:
            raise BudgetSpent(f"{self._admission.taken} bytes are being read or await their acknowledgement")
        self._size += size
        self._admission.change(size)

    def keep_until(self, done: "asyncio.Future[Any]") -> None:
        """Stay taken until the future is done, whatever becomes of the request."""
        self._kept = True
        done.add_done_callback(lambda _: self._free())

    def leave(self) -> None:
        """Give the bytes back, unless they stay taken until a future is done."""
        if not self._kept:
            self._free()

    def _free(self) -> None:
        self._admission.change(-self._size)
        self._size = 0


class Admission:
    """The budget of all requests together, in bytes."""

    def __init__(self, limit: int, gauge: Gauge) -> None:
        self.taken = 0
        self._limit = limit
        self._gauge = gauge

    @contextmanager
    def room(self, *, bulk: bool) -> Iterator[Room]:
        """Return the room of one request, still empty."""
        room = Room(self, self._limit * BULK_SHARE if bulk else self._limit)
        try:
            yield room
        finally:
            room.leave()

    def change(self, size: int) -> None:
        """Count bytes in or, negative, out."""
        self.taken += size
        self._gauge.set(self.taken)
