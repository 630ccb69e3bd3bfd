"""The edge in its container: TLS, pins through it, what it refuses; its cases are in tests/integration."""

import http.client
import json
import socket
import ssl
import time
from contextlib import closing

import pytest

from compose.schedule import wait_for
from compose.stack import ComposeStack

pytestmark = pytest.mark.must(34)

PIN = b'{"index": 1, "unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54dddf", "image_src": "https://a.b/c.jpg"}'
AUTHORITY = "/data/caddy/pki/authorities/local/root.crt"
# The edge gives a header ten seconds.
CUT_WITHIN_SECONDS = 20.0


@pytest.fixture(scope="module")
def trust(stack: ComposeStack) -> ssl.SSLContext:
    """Trust in the edge's own authority and in nobody else."""
    return ssl.create_default_context(cadata=stack.compose("exec", "--no-TTY", "edge", "cat", AUTHORITY))


def ask(
    stack: ComposeStack, trust: ssl.SSLContext, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, bytes]:
    """Return status and body of an answer that bears no `alt-svc`."""
    connection = http.client.HTTPSConnection("localhost", stack.ports["https"], context=trust, timeout=30)
    with closing(connection):
        connection.request(method, path, body=body, headers={"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        assert answer.getheader("alt-svc") is None
        return answer.status, answer.read()


@pytest.mark.parametrize("path", ["/pin/", "/pins/"])
def test_a_pin_goes_through_the_edge_over_verified_tls(
    stack: ComposeStack, trust: ssl.SSLContext, path: str
) -> None:
    status, body = ask(stack, trust, "POST", path, PIN if path == "/pin/" else b"[%b]" % PIN)
    assert status == 200
    assert b'"offset":' in body


def test_a_pin_for_the_address_of_the_host_is_refused_in_words_and_counted(
    stack: ComposeStack, trust: ssl.SSLContext
) -> None:
    status, body = ask(stack, trust, "POST", "/pin/", PIN, Host="127.0.0.1")
    assert (status, json.loads(body)["status"]) == (421, 421)
    refused = 'caddy_http_request_duration_seconds_count{server="edge",method="POST",code="421"}'
    assert wait_for(lambda: stack.prometheus(refused), "the count of what was refused", 60)


def test_strangers_see_of_readiness_only_yes_or_no(stack: ComposeStack, trust: ssl.SSLContext) -> None:
    assert ask(stack, trust, "GET", "/health/ready") == (200, b'{"status":"ready"}')


def test_plain_http_is_not_answered_with_the_service(stack: ComposeStack) -> None:
    with closing(http.client.HTTPConnection("localhost", stack.ports["https"], timeout=10)) as connection:
        connection.request("GET", "/health/ready")
        assert connection.getresponse().status == 400


def test_metrics_stay_inside(stack: ComposeStack, trust: ssl.SSLContext) -> None:
    assert ask(stack, trust, "GET", "/metrics")[0] == 404


def test_a_body_that_is_too_big_is_cut_off(stack: ComposeStack, trust: ssl.SSLContext) -> None:
    # The answer, 413, comes while the client still sends: it may find the connection closed instead.
    try:
        status, _ = ask(stack, trust, "POST", "/pins", b" " * 100_000_000)
    except (ssl.SSLError, ConnectionError):
        return
    assert status == 413


def test_a_header_that_never_ends_is_cut(stack: ComposeStack, trust: ssl.SSLContext) -> None:
    plain = socket.create_connection(("localhost", stack.ports["https"]))
    with trust.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.settimeout(CUT_WITHIN_SECONDS)
        connection.sendall(b"POST /pin/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        started = time.monotonic()
        while connection.recv(4096):
            pass
        assert time.monotonic() - started > 1, "the edge did not wait for the header at all"
