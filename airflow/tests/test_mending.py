"""Restarts: until it is ready, three an hour at most, remembered."""

from collections.abc import Callable

import pytest
from pinflow_airflow.engine import SETTLED_SECONDS, ContainerState, EngineRefused
from pinflow_airflow.health import Finding, Reason
from pinflow_airflow.mending import (
    MOST_RESTARTS,
    READY_WITHIN_SECONDS,
    WITHIN_SECONDS,
    History,
    Mender,
    recent,
)

pytestmark = pytest.mark.must(38)

NOT_STARTED = Finding("s3-sink", Reason.NOT_STARTED, "created with 0")
UNHEALTHY = Finding("s3-sink", Reason.UNHEALTHY, "no answer")
STOPPED = Finding("s3-sink", Reason.STOPPED, "exited with 1")
NOW = 1_800_000_000.0


class Containers:
    """A container that is ready some seconds after its n-th start, or ends at once before."""

    def __init__(self, well_at: int, seconds: float = 4.0, ends: bool = False, asked: bool = True) -> None:
        self.acts: list[str] = []
        self.now = NOW
        self._well_at, self._seconds, self._ends, self._asked = well_at, seconds, ends, asked
        self._started = NOW
        self.refuses = False
        self.is_late = False

    def look(self, service: str) -> ContainerState:
        """Tell what it does."""
        is_old = self.now - self._started >= self._seconds
        ready = is_old and len(self.acts) >= self._well_at
        status = "exited" if self._ends and is_old and not ready else "running"
        health = (
            ("healthy" if ready else "starting" if self.is_late else "unhealthy") if self._asked else None
        )
        return ContainerState(service, status, health, 1, False, "2026-11-27T08:00:00.000000000Z", "")

    def start(self, service: str) -> None:
        """Note it, or refuse."""
        self.acts.append("start")
        if self.refuses:
            raise EngineRefused("port is already allocated")
        self._started = self.now

    def restart(self, service: str) -> None:
        """Note it."""
        self.acts.append("restart")
        self._started = self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def mender(containers: Containers, history: History, remember: Callable[[History], None]) -> Mender:
    """Return a mender on the containers' own time."""
    return Mender(containers, history, remember, now=lambda: containers.now, sleep=containers.sleep)


def test_a_container_that_comes_back_is_restarted_once() -> None:
    containers, kept = Containers(well_at=1), list[History]()
    assert mender(containers, {}, kept.append).mend(UNHEALTHY)
    assert containers.acts == ["restart"]
    assert kept == [{"s3-sink": [NOW]}]


def test_a_stopped_one_is_started() -> None:
    containers, kept = Containers(well_at=1), list[History]()
    assert mender(containers, {}, kept.append).mend(STOPPED)
    assert containers.acts == ["start"]
    assert kept == [{"s3-sink": [NOW]}]


def test_a_first_start_is_no_restart() -> None:
    containers, kept = Containers(well_at=1), list[History]()
    used = {"s3-sink": [NOW - 100] * MOST_RESTARTS}
    assert mender(containers, used, kept.append).mend(NOT_STARTED)
    assert containers.acts == ["start"]
    assert kept == []


def test_one_that_ends_after_its_first_start_has_its_restarts_still() -> None:
    containers, kept = Containers(well_at=99, ends=True), list[History]()
    assert not mender(containers, {}, kept.append).mend(NOT_STARTED)
    assert containers.acts == ["start"] * (1 + MOST_RESTARTS)
    assert len(kept[-1]["s3-sink"]) == MOST_RESTARTS


@pytest.mark.parametrize("finding", [NOT_STARTED, STOPPED, UNHEALTHY])
def test_a_start_that_a_slow_machine_delays_is_not_begun_anew(finding: Finding) -> None:
    containers, kept = Containers(well_at=99), list[History]()
    containers.is_late = True
    assert mender(containers, {}, kept.append).mend(finding)
    assert len(containers.acts) == 1
    assert READY_WITHIN_SECONDS <= containers.now - NOW < 2 * READY_WITHIN_SECONDS


def test_one_that_never_comes_back_is_given_up_after_three_restarts() -> None:
    containers, kept = Containers(well_at=99), list[History]()
    assert not mender(containers, {}, kept.append).mend(UNHEALTHY)
    assert containers.acts == ["restart"] * MOST_RESTARTS
    assert len(kept[-1]["s3-sink"]) == MOST_RESTARTS
    assert containers.now - NOW >= MOST_RESTARTS * READY_WITHIN_SECONDS


def test_one_that_dies_at_once_is_not_waited_for() -> None:
    containers = Containers(well_at=99, ends=True)
    assert not mender(containers, {}, lambda _: None).mend(STOPPED)
    assert containers.now - NOW == MOST_RESTARTS * SETTLED_SECONDS


def test_one_that_runs_for_a_moment_is_not_ready() -> None:
    containers = Containers(well_at=99, ends=True, seconds=1.0, asked=False)
    assert not mender(containers, {}, lambda _: None).mend(STOPPED)
    assert containers.acts == ["start"] * MOST_RESTARTS


@pytest.mark.parametrize("finding", [NOT_STARTED, STOPPED])
def test_a_start_that_the_engine_refuses_is_no_restart_and_the_next_one_is_mended(finding: Finding) -> None:
    containers, kept = Containers(well_at=1), list[History]()
    both = mender(containers, {}, kept.append)
    containers.refuses = True
    assert not both.mend(finding)
    assert containers.acts == ["start"]
    assert kept[-1:] in ([], [{}])
    containers.refuses = False
    assert both.mend(Finding("kafka", Reason.STOPPED, "exited with 1"))
    assert kept[-1] == {"kafka": [containers.now - 5.0]}


def test_restarts_of_earlier_runs_count() -> None:
    containers = Containers(well_at=1)
    used = {"s3-sink": [NOW - 100] * MOST_RESTARTS}
    assert not mender(containers, used, lambda _: None).mend(UNHEALTHY)
    assert containers.acts == []


def test_restarts_of_another_container_do_not_count() -> None:
    containers, kept = Containers(well_at=1), list[History]()
    assert mender(containers, {"kafka": [NOW - 100] * MOST_RESTARTS}, kept.append).mend(UNHEALTHY)
    assert kept[-1]["kafka"] == [NOW - 100] * MOST_RESTARTS


def test_restarts_of_an_hour_ago_are_forgotten() -> None:
    old = {"s3-sink": [NOW - WITHIN_SECONDS, NOW - 10], "kafka": [NOW - WITHIN_SECONDS - 1]}
    assert recent(old, NOW) == {"s3-sink": [NOW - 10]}


def test_a_restart_is_remembered_before_it_is_done() -> None:
    containers = Containers(well_at=1)
    seen: list[int] = []
    mender(containers, {}, lambda _: seen.append(len(containers.acts))).mend(UNHEALTHY)
    assert seen == [0]
