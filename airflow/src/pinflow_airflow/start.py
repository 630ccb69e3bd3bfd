"""`make start`: run the DAG pins_runtime and show what it does."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from pinflow_airflow.runtime import RUNTIME

API = "http://127.0.0.1:8080"
DAG = f"/api/v2/dags/{RUNTIME}"
PASSWORD = Path("/run/secrets/airflow-admin-password")
ANSWERS_WITHIN_SECONDS = 600.0
# The DAG processor has not looked into the folder yet; the server behind the page is not there, or busy.
NOT_YET = {404, 429, 500, 502, 503, 504}
POLL_SECONDS = 1.0
OVER = {"success", "failed", "skipped", "upstream_failed", "removed"}


def main() -> None:
    """Start a run, follow it, and end with 1 when it fails."""
    with httpx.Client(base_url=API, timeout=30) as client:
        login = {"username": "admin", "password": PASSWORD.read_text()}
        token = _answer(client, "POST", "/auth/token", login)["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        _answer(client, "PATCH", DAG, {"is_paused": False})
        state = _followed(client, _under_way(client) or _triggered(client))
    _say(f"{RUNTIME}: {state}")
    if state != "success":
        _say(f"its page says why: {API}/dags/{RUNTIME}; docs/operations.md says what to do")
        sys.exit(1)


def _answer(client: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Ask until there is an answer: a slow machine reads the DAGs late, and answers late."""
    deadline = time.monotonic() + ANSWERS_WITHIN_SECONDS
    while True:
        try:
            answer = client.request(method, path, json=body)
            if answer.status_code not in NOT_YET:
                return answer.raise_for_status().json()
            why = f"{answer.status_code} {answer.text}"
        except httpx.TransportError as error:
            why = str(error)
        if time.monotonic() > deadline:
            sys.exit(f"Airflow did not answer {path} within {ANSWERS_WITHIN_SECONDS:.0f} s: {why}")
        time.sleep(POLL_SECONDS)


def _under_way(client: httpx.Client) -> str | None:
    """Return the id of a run that is not over: the one with which a new Airflow begins by itself."""
    runs = _answer(client, "GET", f"{DAG}/dagRuns?state=queued&state=running")["dag_runs"]
    return str(runs[0]["dag_run_id"]) if runs else None


def _triggered(client: httpx.Client) -> str:
    run_id = f"make-start-{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    body = {"dag_run_id": run_id, "logical_date": None}
    client.post(f"{DAG}/dagRuns", json=body).raise_for_status()
    return run_id


def _followed(client: httpx.Client, run_id: str) -> str:
    """Print each task as it ends, and return the state of the run at its end."""
    run = f"{DAG}/dagRuns/{quote(run_id)}"
    shown: set[str] = set()
    while True:
        state: str = _answer(client, "GET", run)["state"]
        for task in _answer(client, "GET", f"{run}/taskInstances")["task_instances"]:
            if task["state"] in OVER and task["task_id"] not in shown:
                shown.add(task["task_id"])
                _say(_line(task))
        if state in {"success", "failed"}:
            return state
        time.sleep(POLL_SECONDS)


def _line(task: dict[str, Any]) -> str:
    seconds = f"{task['duration']:.0f} s" if task["duration"] else ""
    return f"{task['task_id']:<34} {task['state']:<16} {seconds}"


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
