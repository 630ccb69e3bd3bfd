"""A container is awaited as long as it is starting."""

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException
from pinflow_airflow import operators, waiting
from pinflow_airflow.engine import PROGRESS, ContainerState
from pinflow_airflow.operators import StartContainer
from pinflow_airflow.waiting import ContainerIsReady

SECONDS = 300.0


def state(status: str = "running", health: str | None = "healthy", progress: str = "") -> ContainerState:
    """Return a container's state."""
    at = "2026-11-27T08:00:00.000000000Z"
    return ContainerState("kafka", status, health, 0, False, at, "no answer", progress=progress)


def fired(monkeypatch: pytest.MonkeyPatch, states: Iterator[ContainerState]) -> tuple[Any, float]:
    """Let a container go through these states, a look each; return the event, and when it fired."""
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    async def look(*_: Any) -> ContainerState:
        return next(states)

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(waiting, "patiently", look)

    async def first() -> Any:
        return (await anext(ContainerIsReady("kafka", SECONDS).run())).payload

    return asyncio.run(first()), now


@pytest.mark.parametrize(
    "slow", [state(health="starting"), state(health="unhealthy", progress=f"{PROGRESS}9 MiB")]
)
def test_a_start_that_takes_an_hour_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, slow: ContainerState
) -> None:
    told, now = fired(monkeypatch, iter([*[slow] * 1800, state()]))
    assert told["ready"]
    assert now > 3600


def test_one_that_gets_nowhere_has_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    told, now = fired(monkeypatch, iter([state(health="unhealthy")] * 1000))
    assert told == {"ready": False, "instead": "unhealthy: no answer"}
    assert now <= SECONDS + 10


def test_one_that_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told, now = fired(monkeypatch, iter([state("exited", None)]))
    assert told == {"ready": False, "instead": "exited with 0"}
    assert now < 10


def test_one_that_is_paused_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    class Paused:
        """An engine whose container is paused."""

        @classmethod
        def told(cls) -> "Paused":
            """Return it."""
            return cls()

        def look(self, service: str) -> ContainerState:
            """Tell that it is paused."""
            return state("paused")

    monkeypatch.setattr(operators, "Engine", Paused)
    task = StartContainer(task_id="kafka", service="kafka", ready_within=timedelta(minutes=5))
    with pytest.raises(AirflowFailException, match="docker compose unpause kafka"):
        task.execute(Context())
