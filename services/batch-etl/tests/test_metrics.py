"""What a run leaves for Prometheus: its figures, and never a 0 for the last success."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from batch_etl.accounting import Account, ObjectAccount
from batch_etl.exits import Exit
from batch_etl.metrics import BatchMetrics
from batch_etl.outcome import Run
from batch_etl.settings import BatchSettings
from batch_etl.stopping import Stopping
from batch_etl.worker import Worker
from pin_schema.archive_stream import VerifiedObject
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import HttpUrl, SecretStr


def run_that_ended(code: Exit) -> Run:
    object_account = ObjectAccount(
        VerifiedObject(9, 10, 100, "ab"), clean=6, duplicate=3, rejected={"no_image": 1}
    )
    run = Run("none", account=Account({"raw/pins/a": object_account}), seconds={"load": 1.5})
    run.exit = code
    return run


class EndedJob:
    """A job that has nothing left to do."""

    def __init__(self, *, is_dry_run: bool = False) -> None:
        self.is_dry_run = is_dry_run
        self.stopping = Stopping()

    async def execute(self) -> None:
        """Be done."""


@pytest.fixture
def logins() -> list[str | None]:
    """What the Authorization header of each push said."""
    return []


@pytest.fixture
def pushed(logins: list[str | None]) -> Iterator[tuple[str, list[str]]]:
    bodies: list[str] = []

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            logins.append(self.headers["Authorization"])
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()


def execute(url: str, run: Run, *, is_dry_run: bool = False, password: SecretStr | None = None) -> int:
    settings = BatchSettings(pushgateway_url=HttpUrl(url), pushgateway_password=password)
    worker = Worker(EndedJob(is_dry_run=is_dry_run), run, CollectorRegistry(), settings)  # type: ignore[arg-type]
    return asyncio.run(worker.execute(asyncio.Event()))


def test_a_run_s_figures_are_pushed_at_its_end(pushed: tuple[str, list[str]]) -> None:
    url, bodies = pushed
    assert execute(url, run_that_ended(Exit.DONE)) == Exit.DONE
    (body,) = bodies
    for line in (
        'pinflow_batch_records{outcome="read"} 10.0',
        'pinflow_batch_records_rejected{reason="no_image"} 1.0',
        'pinflow_batch_step_seconds{step="load"} 1.5',
        "pinflow_batch_exit_code 0.0",
    ):
        assert line in body
    assert "pinflow_batch_last_success_timestamp_seconds" in body


@pytest.mark.parametrize(
    ("password", "login"), [(None, None), (SecretStr("secret"), "Basic YmF0Y2gtZXRsOnNlY3JldA==")]
)
def test_a_push_bears_the_jobs_account_where_it_has_a_password(
    pushed: tuple[str, list[str]], logins: list[str | None], password: SecretStr | None, login: str | None
) -> None:
    execute(pushed[0], run_that_ended(Exit.DONE), password=password)
    assert logins == [login]


def test_a_dry_run_pushes_nothing(pushed: tuple[str, list[str]]) -> None:
    url, bodies = pushed
    execute(url, run_that_ended(Exit.DONE), is_dry_run=True)
    assert bodies == []


def test_a_gateway_that_is_away_does_not_change_how_the_run_ended() -> None:
    assert execute("http://127.0.0.1:1", run_that_ended(Exit.SET_ASIDE)) == Exit.SET_ASIDE


def test_a_failed_run_says_nothing_of_the_last_success() -> None:
    registry = CollectorRegistry()
    BatchMetrics(registry).tell(run_that_ended(Exit.RETRY), now=1.0)
    assert b"pinflow_batch_last_success" not in generate_latest(registry)
    assert b"pinflow_batch_exit_code 75.0" in generate_latest(registry)
