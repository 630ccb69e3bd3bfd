"""The README's path: secrets, up, the demo."""

from dataclasses import replace

import pytest
from native_stack.settings import REPOSITORY

from compose.conftest import Loaded
from compose.stack import ALWAYS, ComposeStack

MOST_MEMORY_MIB = 8 * 1024


def test_everything_is_healthy_after_up(stack: ComposeStack) -> None:
    states = {service: stack.health(service) for service in ALWAYS}
    # The exporter's image has nothing to ask it with.
    assert states.pop("redis-exporter") == "running"
    assert set(states.values()) == {"healthy"}, states


def test_the_demos_table_is_right(loaded: Loaded) -> None:
    assert loaded.exit_code == 0, loaded.report
    assert "20,226" in loaded.report


def test_the_peak_with_a_batch_running_stays_below_eight_gigabytes(loaded: Loaded) -> None:
    assert any(name.startswith("batch-etl") for name in loaded.peak.parts), "no batch was seen running"
    assert loaded.peak.total < MOST_MEMORY_MIB


def test_a_second_up_changes_nothing(stack: ComposeStack) -> None:
    before = {service: stack.inspect(service)["Id"] for service in ALWAYS}
    stack.compose("up", "--wait", "--no-build")
    assert {service: stack.inspect(service)["Id"] for service in ALWAYS} == before


@pytest.mark.parametrize(
    ("options", "adds"),
    [
        (["--env-file", "deploy/compose/cluster.env"], "spark-worker-2"),
        (["--file", "compose.yaml", "--file", "deploy/compose/dev.yaml"], "action: rebuild"),
    ],
    ids=["cluster", "development"],
)
def test_the_other_ways_to_start_it_are_understood(
    stack: ComposeStack, options: list[str], adds: str
) -> None:
    told = [str(REPOSITORY / word) if word.endswith((".yaml", ".env")) else word for word in options]
    assert adds in replace(stack, options=told).compose("config")
