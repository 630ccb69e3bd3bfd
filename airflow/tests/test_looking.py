"""Whom a look at everything leaves out."""

import pytest
from parsing import DAGS, parsed
from pinflow_airflow import looking
from pinflow_airflow.engine import ContainerMissing, ContainerState


class Engine:
    """An engine that has no container at all."""

    def look(self, service: str) -> ContainerState:
        raise ContainerMissing(service, f"pinflow-{service}-1")


@pytest.mark.parametrize("elsewhere", ["", "s3 postgres"])
def test_a_server_that_is_elsewhere_is_neither_missed_nor_started(
    monkeypatch: pytest.MonkeyPatch, elsewhere: str
) -> None:
    monkeypatch.setenv("PINFLOW_ELSEWHERE", elsewhere)
    missed = {finding.container for finding in looking.containers(Engine())}  # type: ignore[arg-type]
    started = {task.removeprefix("servers.") for task in parsed(DAGS)[0].dags["pins_runtime"].task_ids}
    for server in ("kafka", "s3", "cassandra", "postgres", "redis"):
        assert (server in missed) == (server in started) == (server not in elsewhere.split()), server
