"""Airflow as a person or a script has it: its REST API, logged in."""

import json
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

Seen = TypeVar("Seen")
OVER = {"success", "failed"}
POLL_SECONDS = 1.0


class Airflow:
    """The API server on this machine's port; `password` is the administrator's, None for a stranger."""

    def __init__(self, port: int, password: str | None = None) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._password = password
        # How long the last run of each DAG took, from its order to its end.
        self.seconds: dict[str, int] = {}

    @cached_property
    def _token(self) -> str:
        told = self._ask("POST", "/auth/token", {"username": "admin", "password": self._password}, token=None)
        assert isinstance(told["access_token"], str)
        return told["access_token"]

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the API for JSON; raises HTTPError."""
        return self._ask(method, f"/api/v2{path}", body, token=self._token if self._password else None)

    def status(self, method: str, path: str, body: dict[str, Any] | None = None) -> int:
        """Return the HTTP status of an answer."""
        try:
            self.ask(method, path, body)
        except HTTPError as error:
            return error.code
        return 200

    def login_status(self) -> int:
        """Return the HTTP status of a try to log in."""
        try:
            return 200 if self._token else 0
        except HTTPError as error:
            return error.code

    def people(self) -> list[dict[str, Any]]:
        """Return every account."""
        people = self._ask("GET", "/auth/fab/v1/users", None, token=self._token)["users"]
        assert isinstance(people, list)
        return people

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, token: str | None) -> Any:
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.url}{path}", data, headers, method=method), timeout=30) as answer:
            told = answer.read()
            return json.loads(told) if told else None

    def unpause(self, dag_id: str) -> None:
        """Let the schedule run it."""
        self.ask("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Keep the schedule from running it."""
        self.ask("PATCH", f"/dags/{dag_id}", {"is_paused": True})

    def scheduled(self, dag_id: str, within: float = 240) -> str:
        """Wake a DAG, so that its schedule makes up for the last missed run; return that run at its end."""
        started = time.monotonic()
        self.unpause(dag_id)
        try:
            run_id = self.first_scheduled(dag_id)
            assert self.ended(dag_id, run_id, within) == "success", self.failures(dag_id, run_id)
        finally:
            self.pause(dag_id)
        self.seconds[dag_id] = round(time.monotonic() - started)
        return run_id

    def first_scheduled(self, dag_id: str) -> str:
        """Wait for a run that the schedule began, and return its id."""
        path = f"/dags/{dag_id}/dagRuns?run_type=scheduled"
        runs = wait_for(lambda: self.ask("GET", path)["dag_runs"], f"a scheduled run of {dag_id}")
        return str(runs[0]["dag_run_id"])

    def run(self, dag_id: str, within: float = 240) -> tuple[str, str]:
        """Run a DAG by hand to its end; return its run's id and its state."""
        started = time.monotonic()
        self.unpause(dag_id)
        try:
            run_id = self.trigger(dag_id)
            return run_id, self.ended(dag_id, run_id, within)
        finally:
            self.pause(dag_id)
            self.seconds[dag_id] = round(time.monotonic() - started)

    def trigger(self, dag_id: str) -> str:
        """Start a run and return its id."""
        run = self.ask("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None})
        return str(run["dag_run_id"])

    def ended(self, dag_id: str, run_id: str, within: float) -> str:
        """Wait for a run's end and return its state."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}"

        def state() -> str | None:
            now = str(self.ask("GET", path)["state"])
            return now if now in OVER else None

        return wait_for(state, f"the end of {dag_id} {run_id}", within)

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the state of each task of a run."""
        told = self.ask("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances")
        return {task["task_id"]: task["state"] for task in told["task_instances"]}

    def failures(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the log of each task of a run that failed."""
        return {
            task: self.log(dag_id, run_id, task)
            for task, state in self.tasks(dag_id, run_id).items()
            if state == "failed"
        }

    def began(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return when a task began, as ISO 8601."""
        task = self.ask("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}")
        return str(task["start_date"])

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Return what a task returned."""
        xcom = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.ask("GET", xcom)["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """Return a task's log as a person sees it."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/logs/{attempt}"
        lines = self.ask("GET", path)["content"]
        errors = [error["exc_value"] for line in lines for error in line.get("error_detail") or ()]
        return "\n".join([*(str(line.get("event", "")) for line in lines), *errors])


def wait_for(look: Callable[[], Seen | None], what: str, within: float = 60) -> Seen:
    """Look until there is something to be seen, and return it."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"not seen within {within:.0f} s: {what}")
