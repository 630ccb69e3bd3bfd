"""Which dependency a service waits for, since when and why: the content of /health/ready."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Gauge

from service_runtime.clock import Clock, SystemClock

NOT_TRIED = "not tried yet"

log = structlog.get_logger(__name__)


@dataclass
class Dependency:
    """One thing the service needs: up when the last try of each operation succeeded.

    An operation is what the caller says it is: one that succeeds tells nothing of another that fails.
    """

    name: str
    gauge: Gauge
    clock: Clock
    why: str | None = NOT_TRIED
    since: float = field(init=False)
    _failing: dict[str, str] = field(default_factory=dict)
    _has_succeeded: bool = False

    def __post_init__(self) -> None:
        self.since = self.clock.now()
        self.gauge.labels(self.name).set(0)

    @property
    def is_up(self) -> bool:
        """Whether no operation is failing."""
        return self.why is None

    @property
    def down_seconds(self) -> float:
        """For how long the dependency has been away; 0 while it is up."""
        return 0.0 if self.is_up else self.clock.now() - self.since

    def up(self, operation: str = "") -> None:
        """Note that the operation has succeeded; the dependency is up unless another one is failing."""
        self._has_succeeded = True
        self.forget(operation)

    def down(self, why: str, operation: str = "") -> None:
        """Note that the operation has failed, and why; only its own success takes that back."""
        self._failing[operation] = why if why.startswith(operation) else f"{operation}: {why}"
        self._update()

    def forget(self, operation: str) -> None:
        """Drop an operation that nobody will try again (the write of a partition that moved away)."""
        self._failing.pop(operation, None)
        self._update()

    def _update(self) -> None:
        unproven = None if self._has_succeeded else NOT_TRIED
        why = "; ".join(self._failing.values()) if self._failing else unproven
        if (why is None) != self.is_up:
            self.since = self.clock.now()
        if why != self.why:
            self.why = why
            self.gauge.labels(self.name).set(1 if why is None else 0)
            if why is None:
                log.info("dependency is up", dependency=self.name)
            else:
                log.warning("waiting for dependency", dependency=self.name, why=why)

    def report(self) -> dict[str, Any]:
        """State, since when (ISO 8601, UTC) and, when down, why."""
        since = datetime.fromtimestamp(self.since, UTC).isoformat(timespec="milliseconds")
        state = "up" if self.is_up else "waiting"
        return {"state": state, "since": since} | ({} if self.is_up else {"why": self.why})


class Readiness:
    """The service is ready while every dependency is up."""

    def __init__(self, registry: CollectorRegistry, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._gauge = Gauge(
            "pinflow_dependency_up", "1 while the dependency answers", ["dependency"], registry=registry
        )
        self._dependencies: dict[str, Dependency] = {}

    def dependency(self, name: str) -> Dependency:
        """Return the dependency of that name, registered on first use as not ready."""
        if name not in self._dependencies:
            self._dependencies[name] = Dependency(name, self._gauge, self._clock)
        return self._dependencies[name]

    def forget(self, name: str) -> None:
        """Drop a dependency that no longer concerns this process (a partition that moved away)."""
        if self._dependencies.pop(name, None):
            self._gauge.remove(name)

    @property
    def is_ready(self) -> bool:
        """Whether every registered dependency is up."""
        return all(dependency.is_up for dependency in self._dependencies.values())

    def report(self) -> dict[str, Any]:
        """Return the JSON body of /health/ready."""
        parts = {name: dependency.report() for name, dependency in sorted(self._dependencies.items())}
        return {"status": "ready" if self.is_ready else "waiting", "dependencies": parts}
