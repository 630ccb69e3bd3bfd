"""What the engine says of the containers: every security line of the compose file, in effect."""

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from native_stack.settings import REPOSITORY

from compose.conftest import MADE
from compose.stack import ALWAYS, ComposeStack

pytestmark = pytest.mark.must(30)

# The socket is root's; this root has no capability.
ROOT = {"socket-proxy"}
# Beyond these nothing of the host is mounted.
OF_THE_HOST = {
    "socket-proxy": {"/var/run/docker.sock"},
    "node-exporter": {"/"},
}
RUNNING = sorted(ALWAYS)
# What ends by itself, or is there for a look.
OTHERS = {
    **dict.fromkeys(("migrate", "airflow-migrate"), "on-failure"),
    **dict.fromkeys((*MADE, "demo"), "no"),
    "emulator": "unless-stopped",
}
ALL = [*RUNNING, *OTHERS]


@pytest.fixture(scope="module")
def made(stack: ComposeStack) -> ComposeStack:
    """The stack, with a container also of what does not run now."""
    stack.compose("create", "--no-build", *MADE, "demo", "emulator")
    return stack


@pytest.fixture
def container(made: ComposeStack, service: str) -> dict[str, Any]:
    return made.inspect(service)


@pytest.mark.parametrize("service", ALL)
def test_a_container_has_no_privileges_and_limits_on_all_it_takes(
    container: dict[str, Any], service: str
) -> None:
    host = container["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["ReadonlyRootfs"]
    assert 0 < host["Memory"] < 3 * 1024**3
    assert 0 < host["PidsLimit"] <= 1024
    assert host["RestartPolicy"]["Name"] == OTHERS.get(service, "unless-stopped")
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert host["NetworkMode"] != "host"
    assert host["PidMode"] == host["UTSMode"] == ""


@pytest.mark.parametrize("service", RUNNING)
def test_a_containers_processes_have_no_capability_and_are_not_root(
    container: dict[str, Any], service: str
) -> None:
    pid = container["State"]["Pid"]
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert (status["Uid"].split()[0] == "0") == (service in ROOT)


@pytest.mark.parametrize("service", ALL)
def test_no_secret_is_in_a_containers_description(
    stack: ComposeStack, container: dict[str, Any], service: str
) -> None:
    described = json.dumps(container)
    for file in stack.secrets.iterdir():
        assert file.read_text() not in described, f"{file.name} is in the description of {service}"


@pytest.mark.parametrize("service", ALL)
def test_a_container_sees_of_the_host_only_what_it_must(
    stack: ComposeStack, container: dict[str, Any], service: str
) -> None:
    for mount in container["Mounts"]:
        if mount["Type"] != "bind":
            continue
        assert not mount["RW"], mount
        ours = mount["Source"].startswith((f"{stack.secrets}/", f"{REPOSITORY}/"))
        assert ours or mount["Source"] in OF_THE_HOST.get(service, set()), mount


def test_only_the_edge_is_published_beyond_loopback(stack: ComposeStack) -> None:
    published = {
        service: {binding["HostIp"] for bindings in ports.values() for binding in bindings or ()}
        for service in RUNNING
        if (ports := stack.inspect(service)["NetworkSettings"]["Ports"])
    }
    beyond = {service for service, addresses in published.items() if addresses - {"127.0.0.1"}}
    assert beyond == {"edge"}


def test_sparks_page_is_on_the_loopback_by_a_network_that_leads_nowhere(stack: ComposeStack) -> None:
    with urlopen(f"http://127.0.0.1:{stack.ports['spark']}/StreamingQuery/", timeout=30) as page:
        assert b"Active Streaming Queries" in page.read()
    network = json.loads(stack.docker.run("network", "inspect", f"{stack.project}_pages"))[0]
    assert network["Options"]["com.docker.network.bridge.enable_ip_masquerade"] == "false"


def test_the_secret_files_are_for_nobody_else_on_the_host(stack: ComposeStack) -> None:
    assert stack.secrets.stat().st_mode & 0o777 == 0o700
    values = [file.read_text() for file in stack.secrets.iterdir()]
    assert len(values) == len(set(values))
