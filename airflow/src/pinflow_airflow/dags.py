"""What every DAG of this project has, so that a new one is its page, its schedule and its containers."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset

from pinflow_airflow.reporting import Reports

# The catalogue in Cassandra as of a run of batch-etl: schedule on it what reads it.
CATALOGUE = Asset("pins_catalogue", uri="x-pinflow://catalogue/pins")
# One slot, deferred tasks counted: two Spark jobs at once are more memory than one host has to spare.
JOBS_POOL = "jobs"

RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=30), "execution_timeout": timedelta(minutes=10)}


def pins_dag(
    dag_id: str,
    page: str | None,
    *,
    schedule: Any,
    timeout: timedelta,
    tags: set[str],
    late_after: timedelta | None = None,
) -> DAG:
    """Return a DAG with this project's habits.

    `page` is the file's docstring. `timeout` ends a run that hangs. `late_after` is how old the last good run
    of a scheduled DAG may be before somebody is told.
    """
    return DAG(
        dag_id,
        doc_md=page,
        schedule=schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        # Each job takes whatever is not done yet: one run catches up for all that were missed.
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timeout,
        default_args={"owner": "pinflow", **RETRIES},
        tags=["pinflow", *sorted(tags)],
        on_success_callback=Reports(failed=False, late_after=late_after),
        on_failure_callback=Reports(failed=True, late_after=late_after),
    )
