"""What a DAG does with a container that exists: run it to its end, or start it until it is ready."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from pinflow_airflow.engine import ContainerMissing, ContainerState, Engine
from pinflow_airflow.exits import Outcome, meaning
from pinflow_airflow.waiting import ContainerEnds, ContainerIsReady

Printed = Sequence[dict[str, Any]]


class RunContainer(BaseOperator):
    """Runs a job's container to its end: its log is the task's log, its exit code the task's end.

    One that runs already is followed in place of a second start, so a task that lost its worker finds
    its job again. The result is the last JSON object the job printed on stdout.
    """

    def __init__(self, *, service: str, **options: Any) -> None:
        super().__init__(**options)
        self.service = service

    def execute(self, context: Context) -> None:
        """Start it, and wait in the triggerer."""
        engine = Engine.told()
        state = looked_at(engine, self.service)
        if state.is_running:
            self.log.info("%s runs since %s: following it", self.service, state.started_at)
        else:
            engine.start(self.service)
            state = engine.look(self.service)
        self.defer(
            trigger=ContainerEnds(self.service, state.started_at),
            method_name="ended",
            kwargs={"started_at": state.started_at},
            timeout=self.execution_timeout,
        )

    def ended(self, context: Context, event: dict[str, Any], started_at: str) -> Any:
        """Translate its exit code, and return what it found."""
        code: int = event["exit_code"]
        outcome, words = meaning(code)
        told = f"{self.service} ended with {code}: {words}"
        if event["out_of_memory"]:
            told += f"; it had reached its mem_limit in the compose file ({self.service})"
        if outcome is Outcome.FAILED:
            raise AirflowFailException(told)
        if outcome is Outcome.AGAIN:
            raise AirflowException(told)
        tell = self.log.warning if outcome is Outcome.WARNED else self.log.info
        tell(told)
        if outcome is Outcome.SKIPPED:
            raise AirflowSkipException(told)
        lines = Engine.told().log(self.service, started_at, stderr=False)
        return self.result([json.loads(line.text) for line in lines if line.text.startswith("{")], context)

    def result(self, printed: Printed, context: Context) -> Any:
        """What the task returns, of the JSON objects the job printed."""
        return printed[-1] if printed else None

    def on_kill(self) -> None:
        """End the container: its task is ended while it starts it."""
        Engine.told().stop(self.service)


class StartContainer(BaseOperator):
    """Starts a container that does not run, and waits until it is ready."""

    def __init__(self, *, service: str, ready_within: timedelta, **options: Any) -> None:
        super().__init__(**options)
        self.service = service
        self.ready_within = ready_within

    def execute(self, context: Context) -> None:
        """Start it, and wait in the triggerer."""
        engine = Engine.told()
        state = looked_at(engine, self.service)
        if state.is_ready:
            self.log.info("%s is ready since %s: nothing to do", self.service, state.started_at)
            return
        if state.status == "paused":
            raise AirflowFailException(
                f"{self.service} is paused: `docker compose unpause {self.service}`, then clear this task"
            )
        engine.start(self.service)
        self.defer(
            trigger=ContainerIsReady(self.service, self.ready_within.total_seconds()), method_name="waited"
        )

    def waited(self, context: Context, event: dict[str, Any]) -> None:
        """Tell that it is ready, or what it does instead."""
        if not event["ready"]:
            raise AirflowException(f"{self.service} is not ready but {event['instead']}")
        self.log.info("%s is ready", self.service)


def looked_at(engine: Engine, service: str) -> ContainerState:
    """The container's state; a missing one is a failure that no second try mends."""
    try:
        return engine.look(service)
    except ContainerMissing as error:
        raise AirflowFailException(str(error)) from None
