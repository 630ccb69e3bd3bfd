"""What the engine says, as it says it."""

from typing import Any

import docker
import pytest
import requests
from docker.errors import APIError, DockerException, NotFound
from pinflow_airflow.engine import ContainerMissing, Engine, EngineAway, EngineRefused, Line

STATE = {
    "Status": "running", "ExitCode": 0, "OOMKilled": False, "StartedAt": "2026-11-27T08:00:00.5Z",
    "Error": "", "Health": {"Status": "unhealthy", "Log": [{"Output": "first"}, {"Output": "no answer\n"}]},
}  # fmt: skip


class Api:
    """The library's client, with one container."""

    error: Exception | None = None

    def __init__(self, **options: Any) -> None:
        pass

    def inspect_container(self, name: str) -> dict[str, Any]:
        """Tell its state."""
        if self.error:
            raise self.error
        assert name == "pinflow-s3-sink-1"
        return {"State": STATE}

    def logs(self, name: str, *, since: int, **options: Any) -> bytes:
        """Give three lines, from a whole second on."""
        assert since == 1795766400
        return (
            b"2026-11-27T08:00:00.100000000Z of the run before\n"
            b"2026-11-27T08:00:00.500000000Z first\n2026-11-27T08:00:01.000000001Z \xff second\n"
        )


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(docker, "APIClient", Api)
    return Engine("tcp://nowhere:2375", "pinflow")


def test_a_containers_state_is_that_of_its_service(engine: Engine) -> None:
    state = engine.look("s3-sink")
    assert (state.service, state.health, state.last_probe) == ("s3-sink", "unhealthy", "no answer")
    assert state.is_running
    assert not state.is_ready
    assert state.said == "unhealthy: no answer"


def test_one_look_in_which_a_start_got_on_is_progress_for_the_next_ones(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = [{"Output": "progress: 9 MiB read and written\n"}, {"Output": ""}]
    monkeypatch.setitem(STATE, "Health", {"Status": "unhealthy", "Log": log})
    state = engine.look("s3-sink")
    assert state.progress == "progress: 9 MiB read and written"
    assert state.is_starting


def test_a_log_begins_where_the_run_began(engine: Engine) -> None:
    lines = list(engine.log("s3-sink", engine.look("s3-sink").started_at))
    assert lines == [
        Line("2026-11-27T08:00:00.500000000Z", "first"),
        Line("2026-11-27T08:00:01.000000001Z", "� second"),
    ]


def test_a_missing_container_says_which_command_makes_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Api, "error", NotFound("no such container"))
    with pytest.raises(ContainerMissing, match="docker compose create s3-sink"):
        engine.look("s3-sink")


@pytest.mark.parametrize(
    ("status", "kind"), [(502, EngineAway), (500, EngineRefused), (403, EngineRefused), (409, EngineRefused)]
)
def test_what_the_engine_refuses_is_no_engine_that_is_away(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, status: int, kind: type[Exception]
) -> None:
    answer = requests.Response()
    answer.status_code = status
    monkeypatch.setattr(Api, "error", APIError("refused", response=answer, explanation="port is taken"))
    with pytest.raises(kind, match="port is taken"):
        engine.look("s3-sink")


def test_an_engine_that_is_away_is_named(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Api, "error", DockerException("connection refused"))
    with pytest.raises(EngineAway, match="connection refused"):
        engine.look("s3-sink")
