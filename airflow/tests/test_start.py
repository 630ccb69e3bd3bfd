"""`make start` against an API server that is slow: not there, not ready, without the DAG as yet."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pinflow_airflow import start

RUN = {"dag_run_id": "scheduled__once", "state": "success"}
TASK = {"task_id": "servers.kafka", "state": "success", "duration": 2.0}


class Api:
    """Airflow's API, which says `late` things before it answers."""

    def __init__(self, late: Iterator[int | Exception], active: list[dict[str, Any]]) -> None:
        self.late, self.active = late, active
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        match next(self.late, None):
            case Exception() as error:
                raise error
            case int(status):
                return httpx.Response(status, text="not yet")
        self.asked.append(f"{request.method} {request.url.path}")
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "token"})
        if request.url.path.endswith("/taskInstances"):
            return httpx.Response(200, json={"task_instances": [TASK]})
        if request.url.params.get("state"):
            return httpx.Response(200, json={"dag_runs": self.active})
        return httpx.Response(200, json=RUN)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Api], None]:
    """Run the command against an API, in no time."""
    (tmp_path / "password").write_text("secret")
    monkeypatch.setattr(start, "PASSWORD", tmp_path / "password")
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    client = httpx.Client

    def run(api: Api) -> None:
        monkeypatch.setattr(
            httpx, "Client", lambda **told: client(**told, transport=httpx.MockTransport(api))
        )
        start.main()

    return run


def test_a_slow_machine_is_waited_for(
    started: Callable[[Api], None], capsys: pytest.CaptureFixture[str]
) -> None:
    late: list[int | Exception] = [
        httpx.ConnectError("refused"),
        *[503] * 100,
        httpx.ReadTimeout("slow"),
        *[404] * 200,
    ]
    started(Api(iter(late), []))
    assert capsys.readouterr().out.splitlines()[-1] == "pins_runtime: success"


def test_an_airflow_that_stays_away_is_named_at_last(started: Callable[[Api], None]) -> None:
    with pytest.raises(SystemExit, match="did not answer /auth/token within 600 s: 503 not yet"):
        started(Api(iter([503] * 1000), []))


@pytest.mark.parametrize(("active", "triggers"), [([], 1), ([RUN], 0)])
def test_a_run_that_is_under_way_is_followed_rather_than_a_second_begun(
    started: Callable[[Api], None], active: list[dict[str, Any]], triggers: int
) -> None:
    api = Api(iter([]), active)
    started(api)
    assert api.asked.count("POST /api/v2/dags/pins_runtime/dagRuns") == triggers


def test_pins_health_is_left_as_it_is(started: Callable[[Api], None]) -> None:
    # Its own gate waits: a `make start` that is interrupted leaves nothing paused.
    api = Api(iter([]), [])
    started(api)
    assert [asked for asked in api.asked if "pins_health" in asked] == []
