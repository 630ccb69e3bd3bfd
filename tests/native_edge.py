"""The edge of the compose stack as a process of this machine, and a client that corrects nothing."""

import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from images.ingredients import CADDY
from native_stack.builder import build_all
from native_stack.display import Silent
from native_stack.settings import REPOSITORY
from native_stack.stack import Stack

CADDYFILE = REPOSITORY / "deploy/compose/edge/Caddyfile"
NAME = "pins.localhost"
ADDRESS = "127.0.0.1"
STARTED_WITHIN_SECONDS = 20
COUNTED = re.compile(r"^caddy_http_request_duration_seconds_count\{(.+)\} (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Edge:
    """A Caddy with the compose stack's own configuration, but for its ports."""

    port: int
    inner_port: int
    log: Path

    def ask(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        host: str | None = NAME,
        sni: str | None = NAME,
        version: str = "HTTP/1.1",
    ) -> Answer:
        """Send these very words, which most clients would correct."""
        lines = [f"{method} {target} {version}"]
        lines += [] if host is None else [f"Host: {host}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close"]
        with self.connected(sni) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            return read(connection, method)

    @contextmanager
    def connected(self, sni: str | None) -> Iterator[ssl.SSLSocket]:
        context = ssl.create_default_context()
        # Who calls by another name gets no certificate that fits, and may not care.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection((ADDRESS, self.port), timeout=30)
        with context.wrap_socket(plain, server_hostname=sni) as connection:
            yield connection

    def counted(self, **labels: str) -> int:
        """Return how many requests with these labels Prometheus would be told of."""
        with urlopen(f"http://{ADDRESS}:{self.inner_port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        wanted = {f'{name}="{value}"' for name, value in {"server": "edge", **labels}.items()}
        return sum(int(count) for found, count in COUNTED.findall(text) if wanted <= set(found.split(",")))


def read(connection: socket.socket, method: str) -> Answer:
    # To http.client every 2xx to CONNECT is the beginning of a tunnel.
    answer = http.client.HTTPResponse(connection, method="GET" if method == "CONNECT" else method)
    answer.begin()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return Answer(answer.status, headers, answer.read())


@contextmanager
def running(stack: Stack, directory: Path, upstream: int, name: str = NAME) -> Iterator[Edge]:
    """Run the edge of that name in front of an ingest-api on that port."""
    build_all([CADDY], stack.settings, Silent())
    edge = Edge(free_port(), free_port(), directory / "edge.log")
    configuration = directory / "Caddyfile"
    configuration.write_text(on_loopback(CADDYFILE.read_text(), edge, upstream))
    # Certificates of this Caddy's own authority stay in its directory.
    places = {"XDG_DATA_HOME": str(directory / "data"), "XDG_CONFIG_HOME": str(directory / "config")}
    program = CADDY.entry(stack.settings.cache_dir) / "caddy"
    with edge.log.open("wb") as log:
        process = subprocess.Popen(
            [program, "run", "--config", configuration, "--adapter", "caddyfile"],
            env=os.environ | places | {"PINFLOW_DOMAIN": name},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until_up(edge)
        yield edge
    finally:
        process.terminate()
        process.wait(30)


def on_loopback(text: str, edge: Edge, upstream: int) -> str:
    """Return the configuration with this test's ports for those of the container."""
    for found, ours in {
        "\thttps_port 8443\n": f"\tdefault_bind {ADDRESS}\n\thttps_port {edge.port}\n",
        "servers :8443 {": f"servers {ADDRESS}:{edge.port} {{",
        "ingest-api:8000 {": f"{ADDRESS}:{upstream} {{",
        "\n:2019 {": f"\n:{edge.inner_port} {{",
    }.items():
        assert text.count(found) == 1, f"the configuration holds no {found!r}"
        text = text.replace(found, ours)
    return text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def wait_until_up(edge: Edge) -> None:
    deadline = time.monotonic() + STARTED_WITHIN_SECONDS
    while True:
        try:
            edge.ask("GET", "/health/ready")
        except OSError:
            assert time.monotonic() < deadline, edge.log.read_text()
            time.sleep(0.1)
        else:
            return
