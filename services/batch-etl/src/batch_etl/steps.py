"""The steps of a run: how long each takes, shown as it happens."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from batch_etl.stopping import Stopping

Notes = dict[str, object]


class Display(Protocol):
    """Where steps are shown."""

    def began(self, step: str) -> None:
        """A step has begun."""
        ...

    def ended(self, step: str, seconds: float, notes: Notes) -> None:
        """A step has ended well, with what it noted."""
        ...


class Steps:
    """Times steps into `seconds`; a step done twice, after a lost stage, adds up."""

    def __init__(self, display: Display, stopping: Stopping, seconds: dict[str, float]) -> None:
        self._display = display
        self._stopping = stopping
        self._seconds = seconds

    @contextmanager
    def __call__(self, step: str) -> Iterator[Notes]:
        """Time the block; it puts what is worth telling into the notes. Raises Interrupted."""
        self._stopping.check()
        notes: Notes = {}
        started = time.monotonic()
        self._display.began(step)
        try:
            yield notes
        finally:
            seconds = time.monotonic() - started
            self._seconds[step] = round(self._seconds.get(step, 0.0) + seconds, 3)
        self._display.ended(step, seconds, notes)
