"""Two loads of the whole archive, with and without staging, compared by the schedule; in `make test-long`."""

import pytest

from compose.schedule import Airflow

pytestmark = pytest.mark.must(37)


def test_staging_is_compared_by_step(airflow: Airflow, ran: dict[str, str]) -> None:
    run, state = airflow.run("pins_redis_comparison", within=600)
    assert state == "success", airflow.tasks("pins_redis_comparison", run)
    rows = airflow.result("pins_redis_comparison", run, "compare")
    assert {row["step"] for row in rows} >= {"load", "clean", "write", "total"}
    assert all(row["none"] > 0 and row["redis"] > 0 for row in rows if row["step"] != "list")
