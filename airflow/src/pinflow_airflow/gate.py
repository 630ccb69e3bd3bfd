"""The first task of every DAG but pins_runtime: nothing begins before there is a runtime."""

from typing import Any

from airflow.sdk import BaseSensorOperator, Context

from pinflow_airflow.runtime import RUNTIME

POLL_SECONDS = 20.0


class RuntimeIsUp(BaseSensorOperator):
    """Waits for the first run of pins_runtime that ends well, and for any that runs now.

    Between two looks it takes no worker. A run that fails holds nobody up once there was a good one.
    """

    def __init__(self, *, task_id: str = "runtime_is_up", **options: Any) -> None:
        super().__init__(task_id=task_id, mode="reschedule", poke_interval=POLL_SECONDS, **options)

    def poke(self, context: Context) -> bool:
        """Whether there was a good run, and none is under way."""
        count = context["ti"].get_dr_count
        if count(RUNTIME, states=["queued", "running"]):
            self.log.info("%s is under way", RUNTIME)
            return False
        if not count(RUNTIME, states=["success"]):
            self.log.info("%s has not ended well yet: see its page", RUNTIME)
            return False
        return True
