"""One compose stack for all tests here: built, started, filled with the reference dataset, watched."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from images.docker import Docker
from images.engine import EngineUnavailableError
from images.ready import docker_with_images
from native_stack.settings import REPOSITORY, NativeSettings

from compose.schedule import Airflow, wait_for
from compose.stack import ComposeStack, MemoryPeak, memory_watched

PROJECT = "pinflow-test"
JOBS = ("batch-etl", "batch-etl-redis")
# Made once, with them.
MADE = (*JOBS, "batch-etl-full", "batch-etl-full-redis", "etl-runs", "airflow-housekeeping")
# Done, or nothing to do.
DONE = {0, 10}
PORTS = ("https", "prometheus", "alertmanager", "grafana", "airflow", "spark")
# A stack of its own, three times as large; and two full loads of the archive.
collect_ignore = [] if os.environ.get("PINFLOW_LONG") else ["test_cluster.py", "test_staging_comparison.py"]
# The first test pays for images, start and dataset.
LONGEST_SECONDS = 1800
TRAFFIC = ["--rate", "100", "--duration", "5", "--url", "http://ingest-api:8000"]
# What a run tells in its last lines, red or green.
FIGURES: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests here the time that their fixtures take."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(LONGEST_SECONDS))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured; a passed test's own output is not shown."""
    for figure in FIGURES:
        terminalreporter.write_line(figure)


@dataclass(frozen=True)
class Loaded:
    """What the reference dataset did: the demo's verdict, and the memory all containers took meanwhile."""

    exit_code: int
    report: str
    peak: MemoryPeak
    ended: float
    "When, as seconds since the epoch: up to then no test has broken anything."


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """An engine with compose and every image it needs."""
    try:
        with docker_with_images(NativeSettings.for_tests(tmp_path_factory.mktemp("images"))) as docker:
            yield docker
    except EngineUnavailableError as error:
        if os.environ.get("PINFLOW_REQUIRE_DOCKER"):
            raise
        pytest.skip(f"THE COMPOSE STACK IS NOT TESTED: {error}")


@pytest.fixture(scope="session")
def stack(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """The default profile."""
    with running(docker, PROJECT, tmp_path_factory.mktemp("secrets")) as stack:
        yield stack


@contextmanager
def running(
    docker: Docker, project: str, secrets: Path, *options: str, **variables: str
) -> Iterator[ComposeStack]:
    """Do `make secrets && docker compose up --wait`, in a project of its own; it is removed at the end."""
    ports = {name: _free_port() for name in PORTS}
    # A version of its own: images of a stack that runs here stay what they are.
    environment = {"PINFLOW_SECRETS_DIR": str(secrets), "PINFLOW_VERSION": "test"}
    # Tests say themselves when the schedule runs what.
    environment["PINFLOW_DAGS_PAUSED"] = "true"
    environment |= {f"PINFLOW_{name.upper()}_PORT": str(port) for name, port in ports.items()}
    environment |= variables
    subprocess.run(
        ["sh", str(REPOSITORY / "deploy/compose/secrets.sh")], env=os.environ | environment, check=True
    )
    stack = ComposeStack(docker.with_environment(environment), project, secrets, ports, options)
    stack.down()
    try:
        stack.compose("--profile", "*", "pull", "--ignore-buildable", "--policy", "missing", timeout=1800)
        stack.compose("--profile", "*", "build", timeout=1800)
        started = time.monotonic()
        stack.compose("up", "--wait", "--no-build", timeout=600)
        FIGURES.append(f"{project}: healthy after {time.monotonic() - started:.0f} s")
        FIGURES.append(f"{project}: idle memory {sum(stack.memory().values()):.0f} MiB")
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="session")
def loaded(stack: ComposeStack) -> Loaded:
    """The demo, as README tells it, while the memory of all containers is watched."""
    # Made once, as an operator does, and from then on only started.
    stack.compose("--profile", "batch", "create", "--no-build")
    with memory_watched(stack) as peak:
        stack.compose("run", "--rm", "--no-TTY", "demo", "post")
        for job in JOBS:
            assert stack.started(job) in DONE, stack.compose("logs", job)
        checked = stack.attempt("run", "--rm", "--no-TTY", "demo", "check")
    FIGURES.append(
        f"{PROJECT}: peak memory with batch running {peak.total:.0f} MiB, of which {peak.largest()}"
    )
    return Loaded(checked.returncode, checked.stdout + checked.stderr, peak, time.time())


@pytest.fixture(scope="session")
def airflow(stack: ComposeStack) -> Airflow:
    """The schedule, as its administrator has it."""
    return Airflow(stack.ports["airflow"], (stack.secrets / "airflow-admin-password").read_text())


@pytest.fixture(scope="session")
def ran(stack: ComposeStack, loaded: Loaded, airflow: Airflow) -> dict[str, str]:
    """Let the schedule run its DAGs once; return the runs by DAG. Before that, s3-sink is killed.

    One of them comes before the first run of pins_runtime, and waits for it.
    """
    airflow.unpause("pins_housekeeping")
    early = airflow.first_scheduled("pins_housekeeping")
    wait_for(
        lambda: airflow.tasks("pins_housekeeping", early)["runtime_is_up"] == "up_for_reschedule",
        "a DAG that waits",
    )
    runs = {"pins_runtime": airflow.scheduled("pins_runtime")}
    stack.docker.run("kill", stack.container("s3-sink"))
    stack.compose("run", "--rm", "--no-TTY", "emulator", "stream", *TRAFFIC)
    runs["pins_health"] = airflow.scheduled("pins_health")
    # What is archived only after the scheduled batch has looked is the next batch's work.
    wait_for(stack.archived, "all pins in the archive")
    runs |= {dag_id: airflow.scheduled(dag_id) for dag_id in ("pins_batch", "pins_housekeeping")}
    FIGURES.append(f"{PROJECT}: scheduled runs took {airflow.seconds}")
    return runs


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
