"""`make start`: run the DAG pins_runtime and show what it does."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

API = "http://127.0.0.1:8080"
DAG_ID = "pins_runtime"
HEALTH = "pins_health"
PASSWORD = Path("/run/secrets/airflow-admin-password")
KNOWN_WITHIN_SECONDS = 120
POLL_SECONDS = 1.0
OVER = {"success", "failed", "skipped", "upstream_failed", "removed"}


def main() -> None:
    """Start a run, follow it, and end with 1 when it fails."""
    with httpx.Client(base_url=API, timeout=30) as client:
        login = {"username": "admin", "password": PASSWORD.read_text()}
        token = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        _wait_until_known(client, DAG_ID)
        _pause(client, DAG_ID, paused=False)
        with _held(client, HEALTH):
            state = _followed(client, _triggered(client))
    _say(f"{DAG_ID}: {state}")
    if state != "success":
        _say(f"its page says why: {API}/dags/{DAG_ID}; docs/operations.md says what to do")
        sys.exit(1)


@contextmanager
def _held(client: httpx.Client, dag_id: str) -> Iterator[None]:
    """Keep a DAG from running meanwhile: pins_health would start the same containers, in no order."""
    _wait_until_known(client, dag_id)
    was_paused = client.get(f"/api/v2/dags/{dag_id}").raise_for_status().json()["is_paused"]
    _pause(client, dag_id, paused=True)
    try:
        yield
    finally:
        _pause(client, dag_id, paused=was_paused)


def _pause(client: httpx.Client, dag_id: str, *, paused: bool) -> None:
    client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": paused}).raise_for_status()


def _wait_until_known(client: httpx.Client, dag_id: str) -> None:
    """Wait for the DAG processor's first look into the folder."""
    deadline = time.monotonic() + KNOWN_WITHIN_SECONDS
    while client.get(f"/api/v2/dags/{dag_id}").status_code == httpx.codes.NOT_FOUND:
        if time.monotonic() > deadline:
            sys.exit(
                f"Airflow does not know {dag_id} after {KNOWN_WITHIN_SECONDS} s: see the DAG processor's log"
            )
        time.sleep(POLL_SECONDS)


def _triggered(client: httpx.Client) -> str:
    run_id = f"make-start-{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    body = {"dag_run_id": run_id, "logical_date": None}
    client.post(f"/api/v2/dags/{DAG_ID}/dagRuns", json=body).raise_for_status()
    return run_id


def _followed(client: httpx.Client, run_id: str) -> str:
    """Print each task as it ends, and return the state of the run at its end."""
    run = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}"
    told: set[str] = set()
    while True:
        state: str = client.get(run).raise_for_status().json()["state"]
        for task in client.get(f"{run}/taskInstances").raise_for_status().json()["task_instances"]:
            if task["state"] in OVER and task["task_id"] not in told:
                told.add(task["task_id"])
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
