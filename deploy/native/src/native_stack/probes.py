"""Asks each server, in its own protocol, whether it does its work."""

import asyncio
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import asyncpg
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from native_stack.program import NotReady

TIMEOUT_SECONDS = 3
# CQL native protocol v4: a header with the opcode OPTIONS (5) and an empty body; SUPPORTED (6) answers it.
CQL_OPTIONS = b"\x04\x00\x00\x00\x05\x00\x00\x00\x00"
CQL_SUPPORTED = 6
LONGEST_REASON = 200
READY_PATH = "/health/ready"
# What a service says of a dependency that is there (service_runtime/readiness.py).
UP = "up"


def kafka(port: int) -> None:
    """Ask the broker for the cluster's metadata."""
    # aiokafka logs each refused connection as an error.
    with _connected("no metadata from the broker", port):
        pass
    asyncio.run(_kafka_metadata(port))


async def _kafka_metadata(port: int) -> None:
    client = AIOKafkaClient(bootstrap_servers=f"127.0.0.1:{port}", request_timeout_ms=TIMEOUT_SECONDS * 1000)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await client.bootstrap()
    except (KafkaError, OSError, TimeoutError) as error:
        raise NotReady(f"no metadata from the broker: {_reason(error)}") from error
    finally:
        await client.close()


def cassandra(port: int) -> None:
    """Ask for the protocol's options; the port opens only when the node has joined."""
    with _connected("no CQL answer", port) as connection:
        connection.sendall(CQL_OPTIONS)
        answer = connection.recv(9)
    if len(answer) < len(CQL_OPTIONS) or answer[4] != CQL_SUPPORTED:
        raise NotReady(f"no CQL answer: got {answer!r}")


def postgres(port: int, user: str, password: str, database: str) -> None:
    """Log in and select 1."""
    asyncio.run(_select_1(port, user, password, database))


async def _select_1(port: int, user: str, password: str, database: str) -> None:
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            connection = await asyncpg.connect(
                host="127.0.0.1", port=port, user=user, password=password, database=database
            )
            try:
                await connection.fetchval("SELECT 1")
            finally:
                await connection.close()
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        raise NotReady(f"SELECT 1 failed: {_reason(error)}") from error


def redis(port: int) -> None:
    """Send PING."""
    with _connected("no answer to PING", port) as connection:
        connection.sendall(b"PING\r\n")
        answer = connection.recv(64)
    if not answer.startswith(b"+PONG"):
        raise NotReady(f"no answer to PING: got {answer!r}")


def http_health(port: int, path: str) -> None:
    """Expect 200."""
    status, body = _get(port, path)
    if status != http.HTTPStatus.OK:
        raise NotReady(f"GET {path}: {status} {body[:LONGEST_REASON]}".strip())


def service_ready(port: int) -> None:
    """Expect 200 of a service of ours; otherwise the reason is the dependencies it waits for."""
    status, body = _get(port, READY_PATH)
    if status != http.HTTPStatus.OK:
        raise NotReady(_missing_dependencies(body) or f"GET {READY_PATH}: {status} {body[:LONGEST_REASON]}")


def _missing_dependencies(body: str) -> str:
    try:
        dependencies = json.loads(body)["dependencies"].items()
        missing = [(name, item["why"]) for name, item in dependencies if item["state"] != UP]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return "; ".join(f"{name}: {why}"[:LONGEST_REASON] for name, why in missing)


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8", errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"GET {path}: {_reason(error)}") from error


@contextmanager
def _connected(what: str, port: int) -> Iterator[socket.socket]:
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
            yield connection
    except OSError as error:
        raise NotReady(f"{what}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_SECONDS} s"
    return str(error) or type(error).__name__
