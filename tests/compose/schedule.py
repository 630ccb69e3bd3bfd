"""Airflow as a person or a script has it: its REST API, logged in."""

import json
import time
from functools import cached_property
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

OVER = {"success", "failed"}
POLL_SECONDS = 1.0


class Airflow:
    """The API server on this machine's port; `password` is the administrator's, None for a stranger."""

    def __init__(self, port: int, password: str | None = None) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._password = password

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

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, token: str | None) -> Any:
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.url}{path}", data, headers, method=method), timeout=30) as answer:
            return json.load(answer)

    def unpause(self, dag_id: str) -> None:
        """Let the schedule run it."""
        self.ask("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Keep the schedule from running it."""
        self.ask("PATCH", f"/dags/{dag_id}", {"is_paused": True})

    def trigger(self, dag_id: str) -> str:
        """Start a run and return its id."""
        run = self.ask("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None})
        return str(run["dag_run_id"])

    def ended(self, dag_id: str, run_id: str, within: float) -> str:
        """Wait for a run's end and return its state."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            state = str(self.ask("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id)}")["state"])
            if state in OVER:
                return state
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"{dag_id} {run_id} is not over after {within} s: {self.tasks(dag_id, run_id)}")

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the state of each task of a run."""
        told = self.ask("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances")
        return {task["task_id"]: task["state"] for task in told["task_instances"]}

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Return what a task returned."""
        xcom = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.ask("GET", xcom)["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """Return a task's log as a person sees it."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/logs/{attempt}"
        return "\n".join(str(line.get("event", "")) for line in self.ask("GET", path)["content"])
