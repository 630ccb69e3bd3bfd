"""Raw bytes to a real process: what clients offer, and what they still send after their answer."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_runtime.http_protocol import LINGER_SECONDS

SCRIPT = """
import sys
from contextlib import asynccontextmanager
from service_runtime.service import Service, run_service
from service_runtime.settings import HttpSettings
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def echo(request):
    body = await request.body()
    return PlainTextResponse(f"{{request.method}} {{request.headers.get('x-kept')}} {{body.decode()}}")

async def early(request):
    return PlainTextResponse("busy", status_code=429)

async def worker(stop):
    await stop.wait()

@asynccontextmanager
async def service():
    routes = [Route("/echo", echo, methods=["GET", "POST"]), Route("/early", early, methods=["POST"])]
    yield Service(Starlette(routes=routes), worker)

sys.exit(run_service(HttpSettings(http_port={port}), service()))
"""
JAVA = """
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
public class Post {
  public static void main(String[] a) throws Exception {
    var client = HttpClient.newHttpClient();
    for (int i = 0; i < 2; i++) {
      var body = HttpRequest.BodyPublishers.ofString("from Java " + i);
      var request = HttpRequest.newBuilder(URI.create(a[0])).POST(body).build();
      var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
      System.out.println(answer.statusCode() + " " + answer.body());
    }
  }
}
"""
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
WEBSOCKET = b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"


def a_request(offer: bytes, body: bytes, method: bytes = b"POST", path: bytes = b"/echo") -> bytes:
    head = b"%s %s HTTP/1.1\r\nHost: x\r\nX-Kept: yes\r\n%sContent-Length: %d\r\n\r\n"
    return head % (method, path, offer, len(body)) + body


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = int(held.getsockname()[1])
    with subprocess.Popen([sys.executable, "-c", SCRIPT.format(port=port)]) as process:
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
        process.terminate()


@pytest.fixture
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(0.5)
        yield connection


def answers(connection: socket.socket) -> bytes:
    """All that comes until it is quiet."""
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except TimeoutError:
        pass
    return received


@pytest.mark.parametrize("offer", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
@pytest.mark.parametrize("cut", [0, 10, -20, -1], ids=["whole", "in the head", "in the body", "last byte"])
def test_an_offer_to_upgrade_is_declined_and_costs_nothing(
    connection: socket.socket, offer: bytes, cut: int
) -> None:
    request = a_request(offer, b'{"a body": "of its own"}')
    for part in (request[:cut], request[cut:]):
        connection.sendall(part)
        time.sleep(0.1)
    received = answers(connection)
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert received.endswith(b'POST yes {"a body": "of its own"}')


def test_a_body_that_looks_like_a_request_is_a_body(connection: socket.socket) -> None:
    inner = a_request(b"", b"inner")
    request = a_request(H2C, inner)
    connection.sendall(request[: -len(inner)])
    time.sleep(0.1)
    connection.sendall(inner)
    received = answers(connection)
    assert received.count(b"HTTP/1.1 200") == received.count(b"POST yes ") == 1
    assert received.endswith(inner)


def test_requests_in_a_row_may_each_offer(connection: socket.socket) -> None:
    get = a_request(H2C, b"", method=b"GET")
    chunked = a_request(H2C, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    connection.sendall(
        get + a_request(H2C, b"one") + chunked + b"3\r\ntwo\r\n0\r\n\r\n" + a_request(b"", b"three")
    )
    received = answers(connection)
    assert received.count(b"HTTP/1.1 200") == 4
    for answer in (b"GET yes ", b"POST yes one", b"POST yes two", b"POST yes three"):
        assert received.count(answer) == 1


def test_connect_is_no_offer(connection: socket.socket) -> None:
    connection.sendall(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answers(connection).startswith(b"HTTP/1.1 4")


@pytest.mark.skipif(shutil.which("java") is None, reason="no Java on this machine")
def test_javas_own_client_posts_by_default(port: int, tmp_path: Path) -> None:
    source = tmp_path / "Post.java"
    source.write_text(JAVA, encoding="utf-8")
    # One thread of the compiler and of the collector: half the start on a small machine.
    quick = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
    said = subprocess.run(
        ["java", source, f"http://127.0.0.1:{port}/echo"],
        env={**os.environ, **quick}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert said.stdout.splitlines() == ["200 POST None from Java 0", "200 POST None from Java 1"], said.stderr


def test_an_early_answer_does_not_reset_who_still_sends(connection: socket.socket) -> None:
    request = a_request(b"", b"x" * 4_000_000, path=b"/early")
    connection.settimeout(10)
    connection.sendall(request)
    connection.settimeout(0.5)
    assert answers(connection).startswith(b"HTTP/1.1 429")
    connection.sendall(a_request(b"", b"next"))
    assert answers(connection).endswith(b"POST yes next"), "the connection goes on"


def test_who_sends_on_and_on_after_an_early_answer_is_cut_off(connection: socket.socket) -> None:
    connection.sendall(a_request(b"", b"x" * 1000, path=b"/early")[:-500])
    assert answers(connection).startswith(b"HTTP/1.1 429"), "answered before the body is there"
    started = time.monotonic()
    connection.settimeout(LINGER_SECONDS + 10)
    assert connection.recv(1) == b""
    assert time.monotonic() - started < LINGER_SECONDS + 5


def test_an_idle_connection_is_kept_for_longer_than_pools_keep_it(connection: socket.socket) -> None:
    connection.sendall(a_request(b"", b"one"))
    assert answers(connection).endswith(b"POST yes one")
    time.sleep(6)
    connection.sendall(a_request(b"", b"two"))
    assert answers(connection).endswith(b"POST yes two")
