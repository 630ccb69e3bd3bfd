"""The README's path: secrets, up, the demo."""

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
