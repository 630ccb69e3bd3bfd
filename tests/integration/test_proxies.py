"""The socket proxy and the push proxy: compose's own configurations in a real Caddy, but for addresses."""

import os
import re
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socket import socket
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from images.ingredients import CADDY
from native_stack.builder import build_all
from native_stack.display import Silent
from native_stack.requirements import find_observer
from native_stack.settings import REPOSITORY, NativeSettings

COMPOSE = REPOSITORY / "deploy/compose"
LISTENS_WITHIN_SECONDS = 20.0
PUSH = b"pinflow_batch_exit_code 0\n"
# The first run builds Caddy.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = NativeSettings.for_tests(tmp_path_factory.mktemp("caddy"))
    build_all([CADDY], settings, Silent())
    return CADDY.entry(settings.cache_dir) / "caddy"


@contextmanager
def caddy(
    program: Path, home: Path, file: str, port: int, places: dict[str, str], **told: str
) -> Iterator[str]:
    """Have a Caddy with one of the files of deploy/compose/edge; give its address."""
    text = re.sub(
        "|".join(map(re.escape, places)),
        lambda place: places[place[0]],
        (COMPOSE / "edge" / file).read_text(),
    )
    (home / "Caddyfile").write_text(text)
    command: list[Path | str] = [program, "run", "--config", home / "Caddyfile", "--adapter", "caddyfile"]
    places_of_its_own = {"XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    with running(command, port, home / "log", **places_of_its_own, **told):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running(command: list[Path | str], port: int, log: Path, **environment: str) -> Iterator[None]:
    """Have a program that listens on a port while the block runs."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=file, stderr=file)
    try:
        give_up = time.monotonic() + LISTENS_WITHIN_SECONDS
        while status("GET", f"http://127.0.0.1:{port}/") == 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def status(method: str, url: str, body: bytes | None = None, login: str | None = None) -> int:
    """Return an answer's status, 0 where nobody listens."""
    headers = {"Authorization": f"Basic {login}"} if login else {}
    try:
        with urlopen(Request(url, body, headers, method=method), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except URLError:
        return 0


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make secrets` makes."""
    secrets = tmp_path_factory.mktemp("secrets")
    told = os.environ | {"PINFLOW_SECRETS_DIR": str(secrets)}
    subprocess.run(["sh", str(COMPOSE / "secrets.sh")], env=told, check=True, capture_output=True)
    return secrets


@pytest.fixture(scope="module")
def pushgateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Pushgateway as the compose stack has it: whoever reaches it may write."""
    port = free_port()
    command: list[Path | str] = [find_observer("pushgateway"), f"--web.listen-address=127.0.0.1:{port}"]
    with running(command, port, tmp_path_factory.mktemp("pushgateway") / "log"):
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def push_proxy(
    program: Path, secrets: Path, pushgateway: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    port = free_port()
    places = {
        ":9091 {": f":{port} {{\n\tbind 127.0.0.1",
        "pushgateway:9091": pushgateway,
        "/run/secrets": str(secrets),
    }
    with caddy(program, tmp_path_factory.mktemp("push"), "push-proxy.Caddyfile", port, places) as address:
        yield address


@pytest.mark.must(31)
@pytest.mark.parametrize(
    ("account", "method", "path"),
    [
        ("batch", "POST", "/metrics/job/batch-etl"),
        ("airflow", "POST", "/metrics/job/airflow/dag_id/pins_batch"),
        ("airflow", "PUT", "/metrics/job/pins_health"),
    ],
)
def test_an_account_pushes_what_its_own_job_tells(
    push_proxy: str, secrets: Path, pushgateway: str, account: str, method: str, path: str
) -> None:
    login = (secrets / f"{account}-push-login").read_text()
    assert status(method, push_proxy + path, PUSH, login) == 200
    with urlopen(f"http://{pushgateway}/metrics", timeout=10) as answer:
        assert f'job="{path.split("/")[3]}"' in answer.read().decode()


@pytest.mark.must(31)
@pytest.mark.parametrize(
    ("account", "method", "path"),
    [
        (None, "POST", "/metrics/job/batch-etl"),
        (None, "PUT", "/metrics/job/pins_health"),
        (None, "DELETE", "/metrics/job/batch-etl"),
        (None, "PUT", "/api/v1/admin/wipe"),
        (None, "GET", "/metrics"),
        ("batch", "POST", "/metrics/job/pins_health"),
        ("batch", "POST", "/metrics/job/batch-etl/instance/evil"),
        ("batch", "DELETE", "/metrics/job/batch-etl"),
        ("airflow", "POST", "/metrics/job/batch-etl"),
        ("airflow", "PUT", "/metrics/job@base64/YmF0Y2gtZXRs"),
    ],
)
def test_nobody_else_and_nothing_else_is_let_through(
    push_proxy: str, secrets: Path, account: str | None, method: str, path: str
) -> None:
    login = (secrets / f"{account}-push-login").read_text() if account else None
    assert status(method, push_proxy + path, PUSH, login) == 401


@pytest.mark.must(31)
@pytest.mark.parametrize("login", ["", "YmF0Y2gtZXRsOg==", "*", "{file./run/secrets/batch-push-login}"])
def test_a_wrong_login_is_none(push_proxy: str, login: str) -> None:
    assert status("POST", f"{push_proxy}/metrics/job/batch-etl", PUSH, login) == 401


def test_whoever_asks_whether_the_push_proxy_is_there_is_answered(push_proxy: str) -> None:
    assert status("GET", f"{push_proxy}/-/ready") == 200


@pytest.fixture(scope="module")
def socket_proxy(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The proxy of a project named `other`, before a stand-in for the engine that says yes to everything."""
    home, port = tmp_path_factory.mktemp("socket"), free_port()

    class Engine(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def address_string(self) -> str:
            return "engine"

        def log_message(self, *_: object) -> None:
            pass

    places = {":2375 {": f":{port} {{\n\tbind 127.0.0.1", "/var/run/docker.sock": str(home / "engine.sock")}
    with socketserver.ThreadingUnixStreamServer(str(home / "engine.sock"), Engine) as engine:
        threading.Thread(target=engine.serve_forever, daemon=True).start()
        with caddy(program, home, "socket-proxy.Caddyfile", port, places, PINFLOW_PROJECT="other") as address:
            yield address
        engine.shutdown()


@pytest.mark.must(32)
@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("POST", "/containers/other-s3-sink-1/start", 200),
        ("GET", "/v1.41/containers/other-s3-sink-1/json", 200),
        ("POST", "/containers/pinflow-s3-sink-1/stop", 403),
        ("GET", "/containers/pinflow-s3-sink-1/logs", 403),
        ("POST", "/containers/another-s3-sink-1/stop", 403),
        ("POST", "/containers/other-s3-sink-1/kill", 403),
    ],
)
def test_the_socket_proxy_lets_through_the_project_that_compose_names(
    socket_proxy: str, method: str, path: str, answer: int
) -> None:
    assert status(method, socket_proxy + path) == answer
