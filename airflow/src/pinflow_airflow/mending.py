"""Restarting what is sick: a bounded number of times, remembered from run to run."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pinflow_airflow.engine import SETTLED_SECONDS, ContainerState, EngineRefused
from pinflow_airflow.health import Finding, Reason

log = logging.getLogger(__name__)
MOST_RESTARTS = 3
WITHIN_SECONDS = 3600.0
# The slowest to start is Spark's, a minute on a busy host.
READY_WITHIN_SECONDS = 150.0
POLL_SECONDS = 2.0
# When each container was restarted, in seconds since the epoch.
History = Mapping[str, Sequence[float]]


class Restarting(Protocol):
    """What is needed of the engine."""

    def look(self, service: str) -> ContainerState:
        """Return what a container does."""

    def start(self, service: str) -> None:
        """Start it."""

    def restart(self, service: str) -> None:
        """Restart it."""


class Mender:
    """Restarts containers while the history allows; calls `remember` with the history before each restart."""

    def __init__(
        self,
        engine: Restarting,
        history: History,
        remember: Callable[[History], None],
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._history = recent(history, now())
        self._remember = remember
        self._now = now
        self._sleep = sleep

    def mend(self, finding: Finding) -> bool:
        """Restart it until it is ready; return False once its restarts are used up."""
        container = finding.container
        while len(self._history.get(container, ())) < MOST_RESTARTS:
            self._note(container)
            log.info("%s: restart %d of %d", finding, len(self._history[container]), MOST_RESTARTS)
            try:
                # A stop that hangs must not hold up a container that does not even run.
                (self._engine.start if finding.reason is Reason.STOPPED else self._engine.restart)(container)
            except EngineRefused as error:
                log.warning("%s", error)
                continue
            state = self._awaited(container)
            if state.is_ready:
                log.info("%s is ready", container)
                return True
            log.warning("%s is not ready but %s", container, state.said)
        log.error("%s: given up: restarted %d times within the hour", finding, MOST_RESTARTS)
        return False

    def _note(self, container: str) -> None:
        # Written down first: a task that dies over a restart has used it.
        self._history = {**self._history, container: [*self._history.get(container, ()), self._now()]}
        self._remember(self._history)

    def _awaited(self, container: str) -> ContainerState:
        deadline = self._now() + READY_WITHIN_SECONDS
        self._sleep(SETTLED_SECONDS)
        state = self._engine.look(container)
        while not state.is_ready and state.is_running and self._now() < deadline:
            self._sleep(POLL_SECONDS)
            state = self._engine.look(container)
        return state


def recent(history: History, now: float) -> dict[str, list[float]]:
    """The restarts that still count."""
    kept = {
        container: [at for at in times if now - at < WITHIN_SECONDS] for container, times in history.items()
    }
    return {container: times for container, times in kept.items() if times}
