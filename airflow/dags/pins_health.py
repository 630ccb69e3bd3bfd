"""
# The health of every container
Every five minutes: what the engine says of each container, what each service says it waits for, and what
Prometheus's rules say of lags, checkpoints and disks. What is stopped, unhealthy or stands still is
restarted, three times an hour at most; what waits for something else is not: that something is. What was
never started is started, what starts is left to it, and what somebody paused is left alone.

## Who reads the output
The person on call: a red run names each sick container, of what, and in which words it says so. Prometheus
has it as `pinflow_health_sick`.

## What a failure costs
Something is sick and did not mend. Until somebody looks, its stage stands still; nothing is lost.

## When it is red
docs/runbooks/container-given-up.md. A container that you stopped on purpose is started again: pause this
DAG first. The Variable `pins_health_restarts` holds what was restarted when; deleted, it gives three more
tries.
"""

from datetime import timedelta

from airflow.sdk import TriggerRule, task
from pinflow_airflow import tending
from pinflow_airflow.dags import pins_dag
from pinflow_airflow.gate import RuntimeIsUp

with pins_dag(
    "pins_health",
    __doc__,
    schedule="*/5 * * * *",
    timeout=timedelta(minutes=40),
    late_after=timedelta(minutes=60),
    tags={"health", "containers"},
):

    @task
    def look() -> tending.Told:
        """Find who is sick."""
        return tending.found()

    # No second try: its restarts are counted, and the next run is five minutes away.
    @task(retries=0, execution_timeout=timedelta(minutes=30))
    def mend(found: tending.Told) -> list[str]:
        """Restart those whom a restart may help."""
        return tending.mended(found)

    @task(retries=0, trigger_rule=TriggerRule.NONE_FAILED)
    def judge(restarted: list[str] | None) -> None:
        """Fail with what remains."""
        tending.judged(restarted or [])

    found = look()
    RuntimeIsUp() >> found
    judge(mend(found))
