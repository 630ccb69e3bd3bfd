"""What watches: every target is scraped, every rule is judged, every panel of every dashboard has data."""

import math
import time
from typing import Any

import pytest
from dashboards.queries import PanelQuery, panel_queries

from compose.conftest import Loaded
from compose.stack import ComposeStack

# Spark may have just been started: its first batch takes a slow machine half a minute.
SEEN_WITHIN_SECONDS = 240
TRAFFIC = ["--rate", "20", "--duration", "5", "--url", "http://ingest-api:8000"]
TARGETS = {
    "ingest-api", "s3-sink", "stream-etl", "pushgateway", "kafka", "cassandra", "postgres", "redis",
    "node", "edge", "prometheus", "alertmanager", "airflow",
}  # fmt: skip
# With the dataset loaded, the tests of the schedule stop these two, to see them come back; on a slow machine
# after more than a minute.
ON_PURPOSE = 'last_over_time(ALERTS{alertname="TargetDown",job=~"s3-sink|stream-etl"}[1h])'


def test_every_target_is_up(stack: ComposeStack, loaded: Loaded) -> None:
    up = {sample["metric"]["job"]: sample["value"][1] for sample in stack.prometheus("up")}
    assert set(up.values()) == {"1"}, up
    assert up.keys() >= TARGETS


@pytest.mark.parametrize("server", ["pg_up", "redis_up"])
def test_an_exporter_gets_through_to_its_server(stack: ComposeStack, loaded: Loaded, server: str) -> None:
    assert [sample["value"][1] for sample in stack.prometheus(server)] == ["1"]


def test_every_panel_shows_something_while_pins_flow(stack: ComposeStack, ran: dict[str, str]) -> None:
    waiting = list(panel_queries())
    assert waiting
    deadline = time.monotonic() + SEEN_WITHIN_SECONDS
    while waiting and time.monotonic() < deadline:
        stack.compose("run", "--rm", "--no-TTY", "emulator", "stream", *TRAFFIC)
        waiting = [query for query in waiting if not shows_something(stack, query)]
    assert not waiting, "\n".join(map(str, waiting))


def test_no_alert_fires_on_a_healthy_stack(stack: ComposeStack, loaded: Loaded) -> None:
    # From its start on. The machine's own disk is not this test's subject.
    fired = 'ALERTS{alertstate="firing",alertname!="DiskFills"}[1h]'
    ever = f"last_over_time({fired} @ {loaded.ended}) or last_over_time({fired}) unless {ON_PURPOSE}"
    assert not [alert["metric"] for alert in stack.prometheus(ever)]


def shows_something(stack: ComposeStack, query: PanelQuery) -> bool:
    """Whether a query has a sample that is a number: a quantile of nothing is none."""
    return any(is_number(sample) for sample in stack.prometheus(query.expr))


def is_number(sample: dict[str, Any]) -> bool:
    """Whether a sample's value can be drawn."""
    return not math.isnan(float(sample["value"][1]))
