"""
# The runtime, brought up in order
Servers, then the migrations, then our services, then those who watch; each is started when it does not run,
and awaited until it is ready. What runs already stays as it is, so it may be run at any time. It runs once
by itself, when Airflow is new; every other DAG waits for its first good run, and for one that is under way.

## Who reads the output
Whoever starts the stack (`make start`), or starts it again after a maintenance; every other DAG.

## What a failure costs
What comes after the red task is not started, and before the first good run no other DAG begins. Nothing is
lost: pins are refused, not swallowed.

## When it is red
The task bears the name of the container, and its log says what the container does instead. Look into the
container's own log, mend it, and clear the task. `does not exist` means: `docker compose create`, then
clear it.
"""

from datetime import timedelta

from airflow.sdk import TaskGroup, chain
from pinflow_airflow import settings
from pinflow_airflow.dags import pins_dag
from pinflow_airflow.operators import RunContainer, StartContainer
from pinflow_airflow.runtime import MIGRATIONS, OBSERVERS, SERVERS, SERVICES


def started(stage: str, services: tuple[str, ...]) -> TaskGroup:
    """Return a group of tasks, one a container of ours, side by side."""
    elsewhere = settings.elsewhere()
    with TaskGroup(stage) as group:
        for service in (service for service in services if service not in elsewhere):
            StartContainer(task_id=service, service=service, ready_within=timedelta(minutes=5))
    return group


# Hours: a broker that reads a large log again is waited for.
with pins_dag("pins_runtime", __doc__, schedule="@once", timeout=timedelta(hours=3), tags={"containers"}):
    chain(
        started("servers", SERVERS),
        RunContainer(task_id="migrations", service=MIGRATIONS),
        started("services", SERVICES),
        started("observers", OBSERVERS),
    )
