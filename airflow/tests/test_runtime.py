"""The containers by name ↔ the compose files."""

import yaml
from parsing import REPOSITORY
from pinflow_airflow import runtime

COMPOSE = REPOSITORY / "deploy/compose"
# Those that run the tasks: no task of theirs can restart them.
OWN = {"airflow-api-server", "airflow-scheduler"}


def services() -> dict[str, dict[str, object]]:
    """Return every service that the stack includes."""
    included = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["include"]
    return {
        name: service
        for file in included
        for name, service in yaml.safe_load((COMPOSE / file).read_text())["services"].items()
    }


def test_whatever_always_runs_is_watched() -> None:
    always = {
        name
        for name, service in services().items()
        if "profiles" not in service and service.get("restart") != "on-failure"
    }
    assert set(runtime.WATCHED) | OWN == always


def test_the_nodes_of_the_cluster_are_watched_where_they_are() -> None:
    assert set(runtime.CLUSTER) == {
        name for name, service in services().items() if service.get("profiles") == ["cluster"]
    }


def test_what_is_brought_up_is_everything_but_the_schedule_itself() -> None:
    brought_up = {*runtime.SERVERS, runtime.MIGRATIONS, *runtime.SERVICES, *runtime.OBSERVERS}
    assert brought_up - {runtime.MIGRATIONS} == set(runtime.WATCHED) - set(runtime.SCHEDULING)


def test_who_is_asked_for_what_it_waits_for_is_a_service() -> None:
    assert set(runtime.TELLING) < set(runtime.SERVICES)
