"""Starting and restarting what is sick; restarts a bounded number of times, remembered from run to run."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pinflow_airflow.engine import SETTLED_SECONDS, ContainerState, EngineRefused
from pinflow_airflow.health import Finding, Reason

log = logging.getLogger(__name__)
MOST_RESTARTS = 3
WITHIN_SECONDS = 3600.0
# Then others have their turn. Whoever is still starting is no worse for that: the next run looks again.
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
        """Restart it until it is ready, or on its way; return False when it does not come back.

        A first start is no restart, nor is one that the engine refuses: nothing has run.
        """
        container = finding.container
        while True:
            is_restart = finding.reason is not Reason.NOT_STARTED
            if is_restart and len(self._history.get(container, ())) >= MOST_RESTARTS:
                log.error("%s: given up: restarted %d times within the hour", finding, MOST_RESTARTS)
                return False
            if not self._started(finding, is_restart=is_restart):
                return False
            state = self._awaited(container)
            if state.is_ready or state.is_starting:
                log.info("%s is %s", container, "ready" if state.is_ready else f"on its way: {state.said}")
                return True
            log.warning("%s is not ready but %s", container, state.said)
            finding = Finding(container, Reason.UNHEALTHY if state.is_running else Reason.STOPPED, state.said)

    def _started(self, finding: Finding, *, is_restart: bool) -> bool:
        """Start or restart it; return False when the engine refuses, which the next run tries again."""
        container, before = finding.container, self._history
        if is_restart:
            self._note(container)
            log.info("%s: restart %d of %d", finding, len(self._history[container]), MOST_RESTARTS)
        else:
            log.info("%s: its first start", finding)
        # A stop that hangs must not hold up a container that does not even run.
        runs = finding.reason not in {Reason.NOT_STARTED, Reason.STOPPED}
        try:
            (self._engine.restart if runs else self._engine.start)(container)
        except EngineRefused as error:
            log.warning("%s", error)
            self._history = before
            self._remember(before)
            return False
        return True

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
