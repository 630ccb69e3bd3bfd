"""What fails is told: a failed job and a container that stays away, made on purpose, read as alerts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

import pytest

from compose.schedule import Airflow, wait_for
from compose.stack import ComposeStack

pytestmark = pytest.mark.must(37, 38, 40)

# Pushed, scraped, judged and sent on, every ten seconds each; and the group's first wait.
TOLD_WITHIN_SECONDS = 120


@pytest.fixture(autouse=True)
def _ran(ran: dict[str, str]) -> None:
    """Begin when everything has gone well once."""


@contextmanager
def replaced(stack: ComposeStack, service: str, *command: str) -> Iterator[None]:
    """Have another command in a service's container while the block runs."""
    name, image = stack.container(service), stack.inspect(service)["Config"]["Image"]
    stack.docker.run("rm", "--force", name)
    stack.docker.run("create", "--name", name, image, *command)
    try:
        yield
    finally:
        stack.docker.run("rm", "--force", name)
        stack.compose("--profile", "batch", "create", "--no-build", service)


def alert(stack: ComposeStack, name: str, **labels: str) -> dict[str, Any] | None:
    """Return an alert as Alertmanager has it."""
    with urlopen(
        f"http://127.0.0.1:{stack.ports['alertmanager']}/api/v2/alerts?active=true", timeout=10
    ) as answer:
        told: list[dict[str, Any]] = json.load(answer)
    wanted = {"alertname": name, **labels}
    return next((one for one in told if wanted.items() <= one["labels"].items()), None)


def told(stack: ComposeStack, name: str, **labels: str) -> dict[str, Any]:
    """Wait for an alert."""
    return wait_for(lambda: alert(stack, name, **labels), f"{name} {labels}", TOLD_WITHIN_SECONDS)


def over(stack: ComposeStack, name: str, **labels: str) -> bool:
    """Wait for an alert's end."""
    return wait_for(lambda: alert(stack, name, **labels) is None, f"the end of {name}", TOLD_WITHIN_SECONDS)


def restarts(airflow: Airflow, container: str) -> int:
    """Return how often pins_health has restarted a container within the hour."""
    return len(json.loads(airflow.ask("GET", "/variables/pins_health_restarts")["value"])[container])


def test_a_batch_that_fails_is_told_until_one_ends_well(stack: ComposeStack, airflow: Airflow) -> None:
    with replaced(stack, "batch-etl", "run", "--date", "yesterday"):
        run, state = airflow.run("pins_batch")
        assert state == "failed"
        # Its arguments are wrong, so it is not tried again; the catalogue is not published.
        assert airflow.tasks("pins_batch", run) == {
            "runtime_is_up": "success",
            "load": "failed",
            "account": "upstream_failed",
        }
        assert "batch-etl ended with 2: its arguments are wrong" in airflow.log("pins_batch", run, "load")
        heard = told(stack, "DagFailed", dag_id="pins_batch")
    assert "pins_batch" in heard["annotations"]["summary"]
    assert heard["annotations"]["runbook"] == "docs/runbooks/airflow-dag-failed.md"
    assert airflow.run("pins_batch")[1] == "success"
    assert over(stack, "DagFailed", dag_id="pins_batch")


def test_a_container_that_does_not_come_back_is_given_up_and_told_with_the_reason(
    stack: ComposeStack, airflow: Airflow
) -> None:
    with replaced(stack, "redis-exporter", "--no-such-option"):
        run, state = airflow.run("pins_health")
        assert state == "failed"
        assert "restarted 3 times within the hour" in airflow.log("pins_health", run, "mend")
        assert "redis-exporter: stopped: exited with 2" in airflow.log("pins_health", run, "judge")
        # Awake, the schedule may have had a run of its own meanwhile: it counts as well.
        assert restarts(airflow, "redis-exporter") == 3
        heard = told(stack, "ContainerGivenUp", container="redis-exporter")
        assert heard["labels"]["reason"] == "stopped"
        assert heard["annotations"]["runbook"] == "docs/runbooks/container-given-up.md"
        assert airflow.run("pins_health")[1] == "failed"
        assert restarts(airflow, "redis-exporter") == 3
    # As the runbook says.
    stack.compose("up", "--detach", "--no-build", "--no-deps", "redis-exporter")
    airflow.ask("DELETE", "/variables/pins_health_restarts")
    assert airflow.run("pins_health")[1] == "success"
    assert over(stack, "ContainerGivenUp", container="redis-exporter")


def test_a_container_that_was_never_made_is_told_with_the_command_that_makes_it(
    stack: ComposeStack, airflow: Airflow
) -> None:
    stack.docker.run("rm", "--force", stack.container("etl-runs"))
    stack.docker.run("rm", "--force", stack.container("batch-etl"))
    run, state = airflow.run("pins_batch")
    assert state == "failed"
    assert "docker compose create batch-etl" in airflow.log("pins_batch", run, "load")
    stack.compose("--profile", "batch", "create", "--no-build")
    assert airflow.run("pins_batch")[1] == "success"
