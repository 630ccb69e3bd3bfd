"""
# The archive, loaded into the catalogue every hour
Starts batch-etl, copies its log here, and holds the run to its accounting: read = clean + duplicate +
rejected. A run takes what the catalogue does not have yet, whenever it came, so one run catches up for all
that were missed, and a second one changes nothing. Nothing to do: both tasks are skipped.

## Who reads the output
Everybody who asks the catalogue (Cassandra `pinterest.pins`), and every DAG that is scheduled on the asset
`pins_catalogue`; its events hold the counts of the run.

## What a failure costs
The catalogue is an hour older. The next run loads what this one did not.

## When it is red
`load` says how the job ended and its log is above; exit codes: services/batch-etl/README.md, and
docs/runbooks/batch-exits-75.md. `account` is red when the counts do not add up: that is a bug, keep the row
of `etl_runs`.
"""

from datetime import timedelta

from pinflow_airflow.accounting import CheckAccounting
from pinflow_airflow.dags import JOBS_POOL, pins_dag
from pinflow_airflow.gate import RuntimeIsUp
from pinflow_airflow.operators import RunContainer

with pins_dag(
    "pins_batch",
    __doc__,
    # Some minutes past the hour: then the sink has archived the whole of it.
    schedule="5 * * * *",
    timeout=timedelta(hours=6),
    late_after=timedelta(hours=3),
    tags={"batch", "catalogue"},
):
    load = RunContainer(
        task_id="load", service="batch-etl", pool=JOBS_POOL, execution_timeout=timedelta(hours=5)
    )
    account = CheckAccounting(task_id="account", of_task="load", pool=JOBS_POOL)
    RuntimeIsUp() >> load >> account
