"""Two full loads of the archive, compared by a schedule that dies meanwhile; in `make test-long`."""

import pytest

from compose.schedule import Airflow, wait_for
from compose.stack import ComposeStack, kill

pytestmark = pytest.mark.must(37)


def test_staging_is_compared_by_step_though_scheduler_and_triggerer_die_meanwhile(
    stack: ComposeStack, airflow: Airflow, ran: dict[str, str]
) -> None:
    dag_id, first = "pins_redis_comparison", "without_staging"
    airflow.unpause(dag_id)
    run = airflow.trigger(dag_id)
    wait_for(lambda: airflow.tasks(dag_id, run)[first] == "deferred", f"{first} waiting for its container")
    for service in ("airflow-scheduler", "airflow-triggerer"):
        kill(stack.inspect(service)["State"]["Pid"])
    assert airflow.ended(dag_id, run, within=300) == "success", airflow.failures(dag_id, run)
    airflow.pause(dag_id)
    assert all(
        stack.inspect(service)["RestartCount"] for service in ("airflow-scheduler", "airflow-triggerer")
    )
    rows = airflow.result(dag_id, run, "compare")
    assert {row["step"] for row in rows} >= {"load", "clean", "write", "total"}
    assert all(row["none"] > 0 and row["redis"] > 0 for row in rows if row["step"] != "list")
