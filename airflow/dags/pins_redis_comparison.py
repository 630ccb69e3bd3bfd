"""
# The whole archive loaded twice: with staging in Redis, and without
Runs `batch-etl run --full` over the same archive, first without staging, then with its steps in Redis, and
lays the seconds of their steps side by side, from `pinterest.etl_runs`. The second load changes no row.

## Who reads the output
Whoever decides about staging: the result of `compare`, which is a table in its log too.

## What a failure costs
Nothing but the comparison; the hourly load waits until it is over, as both need the memory.

## When it is red
As `pins_batch`. Redis too small for the archive shows as `stages_lost`: docs/runbooks/batch-exits-75.md.
"""

from datetime import timedelta

from airflow.sdk import chain
from pinflow_airflow.accounting import CompareSteps
from pinflow_airflow.dags import JOBS_POOL, pins_dag
from pinflow_airflow.gate import RuntimeIsUp
from pinflow_airflow.operators import RunContainer

RUNS = {"without_staging": "batch-etl-full", "staged_in_redis": "batch-etl-full-redis"}

with pins_dag(
    "pins_redis_comparison", __doc__, schedule=None, timeout=timedelta(hours=12), tags={"batch", "comparison"}
):
    loads = [
        RunContainer(task_id=name, service=service, pool=JOBS_POOL, execution_timeout=timedelta(hours=5))
        for name, service in RUNS.items()
    ]
    chain(RuntimeIsUp(), *loads, CompareSteps(task_id="compare", of_tasks=tuple(RUNS), pool=JOBS_POOL))
