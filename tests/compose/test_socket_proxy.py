"""The socket proxy: what a scheduler needs of the engine, for this project's containers, and nothing else."""

import json
from typing import Any

import pytest

from compose.conftest import Loaded
from compose.stack import ComposeStack

pytestmark = pytest.mark.must(32)

ASK = """
import http.client, json, sys
method, path, body = json.loads(sys.argv[1])
connection = http.client.HTTPConnection("socket-proxy", 2375, timeout=10)
connection.request(method, path, body=body)
print(connection.getresponse().status)
"""


def status(stack: ComposeStack, method: str, path: str, body: str | None = None) -> int:
    """Ask from where tasks run."""
    asked = json.dumps([method, path, body])
    return int(stack.docker.run("exec", stack.container("airflow-scheduler"), "python", "-c", ASK, asked))


def test_a_job_can_be_started_awaited_looked_at_and_read(stack: ComposeStack, loaded: Loaded) -> None:
    job = f"/containers/{stack.container('batch-etl')}"
    assert status(stack, "POST", f"{job}/start") == 204
    assert status(stack, "POST", f"{job}/wait") in {200, 304}
    assert status(stack, "GET", f"{job}/json") == 200
    assert status(stack, "GET", f"{job}/logs?stdout=1") == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/containers/create"),
        ("POST", "/v1.41/containers/create?name=pinflow-evil"),
        ("POST", "//containers/create"),
        ("POST", "/containers/{}/exec"),
        ("POST", "/containers/{}/start/../../create"),
        ("POST", "/containers/{}/update"),
        ("POST", "/containers/{}/kill"),
        ("POST", "/containers/other-1/stop"),
        # Another project's, whose name begins as this one's: it is compose that tells which is meant.
        ("POST", "/containers/pinflow-redis-1/stop"),
        ("GET", "/containers/pinflow-redis-1/json"),
        ("DELETE", "/containers/{}"),
        ("PUT", "/containers/{}/archive?path=/"),
        ("GET", "/containers/{}/archive?path=/run/secrets"),
        ("GET", "/containers/{}/export"),
        ("GET", "/images/json"),
        ("POST", "/images/create?fromImage=x"),
        ("POST", "/volumes/create"),
        ("GET", "/info"),
    ],
)
def test_everything_else_is_refused(stack: ComposeStack, method: str, path: str) -> None:
    assert status(stack, method, path.format(stack.container("redis"))) == 403


@pytest.mark.parametrize(
    "host",
    [{"Privileged": True}, {"Binds": ["/:/host"]}, {"PidMode": "host"}, {"CapAdd": ["ALL"]}],
    ids=lambda host: next(iter(host)),
)
def test_a_container_with_the_keys_of_the_host_cannot_be_made(
    stack: ComposeStack, host: dict[str, Any]
) -> None:
    body = json.dumps({"Image": "pinflow/airflow:test", "HostConfig": host})
    assert status(stack, "POST", "/containers/create?name=pinflow-evil", body) == 403


def test_a_start_with_another_configuration_in_its_body_is_refused(stack: ComposeStack) -> None:
    # Old versions of the engine's API take a host configuration here, privileges included.
    body = json.dumps({"HostConfig": {"Privileged": True}})
    assert status(stack, "POST", f"/v1.20/containers/{stack.container('batch-etl')}/start", body) == 413
