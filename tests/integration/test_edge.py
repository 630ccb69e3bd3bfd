"""The edge in front of a real ingest-api: what it passes on, what it refuses, and what strangers see."""

import json
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from native_edge import ADDRESS, NAME, Answer, Edge, free_port, read, running
from native_stack.clients import topic_settings
from native_stack.stack import Stack
from reconcile.offsets import OffsetRange
from reconcile.topic import read_topic

# The first run builds Caddy.
pytestmark = [pytest.mark.must(1, 34), pytest.mark.timeout(1800)]

OTHER = "other.example"
# One of the internet, kept for examples.
PUBLIC_ADDRESS = "203.0.113.7"
PROBLEM = "application/problem+json"
WAITING_WITHIN_SECONDS = 20


@pytest.fixture(scope="module")
def edge(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    stack.up(only=["ingest-api"])
    with running(stack, tmp_path_factory.mktemp("edge"), stack.settings.ingest_port) as edge:
        yield edge


def a_pin() -> bytes:
    return json.dumps({"index": 1, "unique_id": str(uuid.uuid4()), "image_src": "https://a.b/c.jpg"}).encode()


async def assert_stored(stack: Stack, pin: bytes, receipt: dict[str, Any]) -> None:
    partition, offset = receipt["partition"], receipt["offset"]
    span = OffsetRange({partition: offset}, {partition: offset + 1})
    (record,) = await read_topic(topic_settings(stack), receipt["topic"], span)
    assert record.value == pin


def assert_refused(answer: Answer, status: int) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == PROBLEM
    assert answer.document["status"] == status
    assert answer.document["detail"]


# Ways to name the edge that a client may take.
OURS: dict[str, dict[str, Any]] = {
    "its name": {},
    "its name with a port": {"host": f"{NAME}:443"},
    "its name in capitals": {"host": NAME.upper()},
    "its name, but not in TLS": {"sni": None},
    "HTTP/1.0 with its name": {"version": "HTTP/1.0"},
    # By RFC 9112 the target's host stands, whatever the header says.
    "its name in the target": {"target": f"https://{NAME}/pin/", "host": OTHER},
}
ELSEWHERE: dict[str, dict[str, Any]] = {
    "its address": {"host": ADDRESS, "sni": None},
    "another name": {"host": OTHER},
    "another name, in TLS too": {"host": OTHER, "sni": OTHER},
    "a name below its name": {"host": f"x.{NAME}"},
    "HTTP/1.0 without a name": {"host": None, "version": "HTTP/1.0"},
    "HTTP/1.0 with another name": {"host": OTHER, "version": "HTTP/1.0"},
    "another name in the target": {"target": f"https://{OTHER}/pin/"},
}


@pytest.mark.parametrize("request_", OURS.values(), ids=OURS)
async def test_a_pin_for_this_host_is_stored_where_its_receipt_says(
    edge: Edge, stack: Stack, request_: dict[str, Any]
) -> None:
    pin = a_pin()
    answer = edge.ask("POST", body=pin, **({"target": "/pin/"} | request_))
    assert answer.status == 200, answer
    await assert_stored(stack, pin, answer.document)


@pytest.mark.parametrize("request_", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_pin_for_another_host_is_refused_in_words_and_counted_once(
    edge: Edge, request_: dict[str, Any]
) -> None:
    before = edge.counted(method="POST", code="421")
    assert_refused(edge.ask("POST", body=a_pin(), **({"target": "/pin/"} | request_)), 421)
    assert edge.counted(method="POST", code="421") == before + 1


@pytest.mark.parametrize("path", ["/pin", "/pin/", "/pins", "/pins/"])
async def test_a_slash_at_the_end_changes_nothing(edge: Edge, stack: Stack, path: str) -> None:
    pin = a_pin()
    many = path.startswith("/pins")
    answer = edge.ask("POST", path, b"[%b]" % pin if many else pin)
    assert answer.status == 200, answer
    await assert_stored(stack, pin, answer.document["receipts"][0] if many else answer.document)


@pytest.mark.parametrize(
    "path", ["/", "/pin/1", "/pins//", "/PINS", "/api/pins", "/metrics", "/docs", "/health/ready"]
)
def test_a_post_to_another_path_is_refused_in_words_and_counted_once(edge: Edge, path: str) -> None:
    before = edge.counted(method="POST", code="404")
    assert_refused(edge.ask("POST", path, a_pin()), 404)
    assert edge.counted(method="POST", code="404") == before + 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "TRACE", "PRI"])
def test_another_method_is_refused(edge: Edge, method: str) -> None:
    assert_refused(edge.ask(method, "/pin/"), 404)


@pytest.mark.parametrize(
    ("target", "status"), [(f"{NAME}:443", 404), (f"{OTHER}:443", 421), ("/pin/", 404), ("kafka:9092", 421)]
)
def test_nobody_gets_a_tunnel(edge: Edge, target: str, status: int) -> None:
    host = target if ":" in target else NAME
    assert_refused(edge.ask("CONNECT", target, a_pin(), host=host), status)


@pytest.mark.parametrize(("host", "status"), [(NAME, 200), (OTHER, 421), (ADDRESS, 421)])
@pytest.mark.parametrize(("option", "version"), [("--http2", "2"), ("--http1.1", "1.1"), ("--http1.0", "1")])
def test_every_version_that_a_client_offers_is_answered_alike(
    edge: Edge, option: str, version: str, host: str, status: int
) -> None:
    command = ["curl", "--silent", "--insecure", option, "--max-time", "20", "--data", "@-"]
    headers = ["--header", f"Host: {host}", "--header", "Content-Type: application/json"]
    ends = ["--connect-to", f"::{ADDRESS}:{edge.port}", f"https://{NAME}/pin/"]
    shown = ["--write-out", "\n%{http_version} %{http_code} %{content_type}"]
    done = subprocess.run([*command, *headers, *shown, *ends], input=a_pin(), capture_output=True, check=True)
    body, _, seen = done.stdout.decode().rpartition("\n")
    kind = "application/json" if status == 200 else PROBLEM
    assert seen == f"{version} {status} {kind}"
    assert ("offset" in json.loads(body)) == (status == 200)


@pytest.mark.parametrize("path", ["/docs/", "/openapi.json/", "/health/ready/", "/pins//", "//pins"])
def test_nothing_is_redirected(edge: Edge, path: str) -> None:
    assert edge.ask("GET", path).status == 404


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "//metrics", "/%6detrics", "/docs/../metrics"])
def test_metrics_stay_inside(edge: Edge, path: str) -> None:
    assert_refused(edge.ask("GET", path), 404)


def test_the_pages_of_the_service_are_served(edge: Edge) -> None:
    assert edge.ask("GET", "/docs").headers["content-type"].startswith("text/html")
    assert "/pins" in edge.ask("GET", "/openapi.json").document["paths"]


@pytest.mark.parametrize("path", ["/pin/", "/other", "/health/ready"])
def test_no_port_is_advertised_that_nobody_publishes(edge: Edge, path: str) -> None:
    assert "alt-svc" not in edge.ask("GET", path).headers
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        # Free: no HTTP/3 listens there.
        probe.bind((ADDRESS, edge.port))


def test_strangers_see_of_readiness_only_yes_or_no(edge: Edge, stack: Stack) -> None:
    ready = edge.ask("GET", "/health/ready")
    assert (ready.status, ready.document) == (200, {"status": "ready"})
    stack.suspend("kafka")
    try:
        assert edge.ask("POST", "/pin/", a_pin()).status == 503, "the fault fired"
        deadline = time.monotonic() + WAITING_WITHIN_SECONDS
        while (waiting := edge.ask("GET", "/health/ready")).status == 200 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert (waiting.status, waiting.document) == (503, {"status": "waiting"})
    finally:
        stack.resume("kafka")
    deadline = time.monotonic() + 60
    while edge.ask("GET", "/health/ready").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_what_does_not_reach_ingest_api_says_so_and_names_no_address(stack: Stack, tmp_path: Path) -> None:
    nobody = free_port()
    with running(stack, tmp_path, nobody) as edge:
        for method, path in (("POST", "/pin/"), ("GET", "/health/ready")):
            answer = edge.ask(method, path, a_pin())
            assert (answer.status, answer.headers["content-type"]) == (502, PROBLEM)
            assert "post them again" in answer.document["detail"]
            assert str(nobody).encode() not in answer.body
        # For us the log has it.
        assert f"{ADDRESS}:{nobody}: connect: connection refused" in edge.log.read_text()


def test_an_address_in_place_of_a_domain_is_signed_for_by_the_edge_itself(
    stack: Stack, edge: Edge, tmp_path: Path
) -> None:
    with running(stack, tmp_path, stack.settings.ingest_port, PUBLIC_ADDRESS) as by_address:
        assert by_address.ask("POST", "/pin/", a_pin(), host=PUBLIC_ADDRESS, sni=None).status == 200
        assert_refused(by_address.ask("POST", "/pin/", a_pin(), host=NAME), 421)


def test_the_log_tells_who_posts_where_nothing_is_stored(edge: Edge) -> None:
    host = f"{uuid.uuid4()}.example"
    edge.ask("GET", "/pin/", host=host)
    edge.ask("POST", "/pin/", a_pin(), host=host)
    lines = [json.loads(line) for line in edge.log.read_text().splitlines() if host in line]
    assert [(line["request"]["method"], line["reason"], line["status"]) for line in lines] == [
        ("POST", "another host", 421)
    ]


def test_a_body_that_is_too_large_is_refused_in_words(edge: Edge) -> None:
    header = f"POST /pins HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 9000001\r\n\r\n"
    with edge.connected(NAME) as connection:
        connection.sendall(header.encode())
        assert_refused(read(connection, "POST"), 413)
