"""What came of posting: counts, rates and latencies."""

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

_STEP = math.log(1.02)
MAX_PROBLEMS = 5


class Latencies:
    """Latencies in steps of 2 %, so that an endless run takes no more memory than a short one."""

    def __init__(self) -> None:
        self._steps: Counter[int] = Counter()
        self._max_ms = 0.0

    def add(self, milliseconds: float) -> None:
        """Count one request."""
        self._steps[round(math.log(max(milliseconds, 0.001)) / _STEP)] += 1
        self._max_ms = max(self._max_ms, milliseconds)

    def percentile(self, share: float) -> float:
        """Return the milliseconds that this share of requests did not exceed, to 1 %; 0 without requests."""
        wanted = share * self._steps.total()
        for step in sorted(self._steps):
            wanted -= self._steps[step]
            if wanted <= 0:
                return min(math.exp(step * _STEP), self._max_ms)
        return self._max_ms

    def as_dict(self) -> dict[str, float]:
        """Return p50, p95, p99 and max in milliseconds."""
        figures = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
        return {name: round(self.percentile(share), 2) for name, share in figures.items()} | {
            "max": round(self._max_ms, 2)
        }


class Problem(msgspec.Struct):
    """A server's explanation (application/problem+json), with our word for where it names none."""

    title: str = "no explanation"
    status: int = 0
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.status} {self.title}" + (f": {self.detail}" if self.detail else "")


@dataclass
class Summary:
    """The state of a run, and what it came to in the end."""

    posted: int = 0  # pins with a receipt
    refused: int = 0  # pins with a final no
    unconfirmed: int = 0  # pins that were sent without a final answer when the run ended
    retries: Counter[str] = field(default_factory=Counter)  # requests, by what made them necessary
    problems: list[Problem] = field(default_factory=list)  # the first few refusals
    latencies: Latencies = field(default_factory=Latencies)  # of requests answered with 200
    waiting_for: str | None = None  # what the last request failed with, until one succeeds
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._start = time.monotonic()

    @property
    def done(self) -> int:
        """Pins with a final answer."""
        return self.posted + self.refused

    @property
    def pins_per_second(self) -> float:
        """Confirmed pins a second."""
        return self.posted / self.seconds if self.seconds else 0.0

    def refuse(self, pins: int, problem: Problem) -> None:
        """Count pins that the server will never take; the first few reasons are kept."""
        self.refused += pins
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def see(self, cause: str | None) -> None:
        """Note how the last request went: None, or what makes another try necessary."""
        self.waiting_for = cause
        if cause:
            self.retries[cause] += 1
        self.clock()

    def clock(self) -> None:
        """Bring `seconds` up to date."""
        self.seconds = time.monotonic() - self._start

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "posted": self.posted,
            "refused": self.refused,
            "unconfirmed": self.unconfirmed,
            "retries": dict(self.retries),
            "seconds": round(self.seconds, 3),
            "pins_per_second": round(self.pins_per_second, 1),
            "latency_ms": self.latencies.as_dict(),
            "problems": [msgspec.to_builtins(problem) for problem in self.problems],
        }
