"""
# What Airflow keeps, kept small
Every night: deletes what is older than a month from Airflow's own database and from its logs. It touches no
pin.

## Who reads the output
Nobody: it is there so that a disk does not fill (P6).

## What a failure costs
Some megabytes a day.

## When it is red
The log of the container airflow-housekeeping says why; the next night deletes what this one did not.
"""

from datetime import timedelta

from pinflow_airflow.dags import pins_dag
from pinflow_airflow.gate import RuntimeIsUp
from pinflow_airflow.operators import RunContainer

with pins_dag(
    "pins_housekeeping",
    __doc__,
    schedule="30 3 * * *",
    timeout=timedelta(hours=1),
    late_after=timedelta(hours=50),
    tags={"housekeeping"},
):
    RuntimeIsUp() >> RunContainer(task_id="delete_the_old", service="airflow-housekeeping")
