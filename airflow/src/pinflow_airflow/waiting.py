"""Waiting for a container in the triggerer, where it takes no worker: until it ends, or until it is ready."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from pinflow_airflow import loglines
from pinflow_airflow.engine import SETTLED_SECONDS, ContainerState, Engine, EngineAway

POLL_SECONDS = 2.0


class ContainerEnds(BaseTrigger):
    """Copies a container's log into the task's own until the container ends; then tells its exit code."""

    def __init__(self, service: str, since: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow's
        self.service = service
        self.since = since

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where it is defined, and its arguments; `since` is where the log has not been copied yet."""
        return "pinflow_airflow.waiting.ContainerEnds", {"service": self.service, "since": self.since}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire once, at the container's end."""
        while True:
            state = await patiently(self, self._look_and_copy)
            if not state.is_running:
                break
            await asyncio.sleep(POLL_SECONDS)
        yield TriggerEvent({"exit_code": state.exit_code, "out_of_memory": state.out_of_memory})

    async def on_kill(self) -> None:
        """End the container: a person has ended its task."""
        await asyncio.to_thread(lambda: Engine.told().stop(self.service))

    def _look_and_copy(self) -> ContainerState:
        engine = Engine.told()
        # In this order: what it says last is there once it has ended.
        state = engine.look(self.service)
        for line in engine.log(self.service, self.since):
            if line.at > self.since:
                level, text = loglines.read(line.text)
                self.log.log(level, "%s", text)
                self.since = line.at
        return state


class ContainerIsReady(BaseTrigger):
    """Fires when a container is ready, has ended, or has had its time; while it is starting, none passes."""

    def __init__(self, service: str, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow's
        self.service = service
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where it is defined, and its arguments."""
        return "pinflow_airflow.waiting.ContainerIsReady", {"service": self.service, "seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire once: `ready`, and what it did instead."""
        deadline = time.monotonic() + self.seconds
        await asyncio.sleep(SETTLED_SECONDS)
        while True:
            state = await patiently(self, lambda: Engine.told().look(self.service))
            if state.is_starting:
                deadline = time.monotonic() + self.seconds
            if state.is_ready or not state.is_running or time.monotonic() > deadline:
                break
            await asyncio.sleep(POLL_SECONDS)
        yield TriggerEvent({"ready": state.is_ready, "instead": state.said})


async def patiently(trigger: BaseTrigger, look: Any) -> ContainerState:
    """Look until the engine answers: the task's timeout ends it otherwise."""
    while True:
        try:
            state: ContainerState = await asyncio.to_thread(look)
        except EngineAway as error:
            trigger.log.warning("%s; trying again", error)
            await asyncio.sleep(POLL_SECONDS)
        else:
            return state
