"""Every run of a DAG tells at its end how it went: to the Pushgateway, where it outlives Airflow."""

import time
from dataclasses import dataclass
from datetime import timedelta

from airflow.sdk import Context
from prometheus_client import CollectorRegistry, pushadd_to_gateway

from pinflow_airflow import settings
from pinflow_airflow.metrics import DagMetrics
from pinflow_airflow.pushing import as_airflow

PUSH_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Reports:
    """A DAG's callback; pushes by dag_id, so that what a run does not tell stays as it was."""

    failed: bool
    late_after: timedelta | None

    def __call__(self, context: Context) -> None:
        """Push how the run went."""
        registry = CollectorRegistry()
        DagMetrics(registry).tell(
            failed=self.failed,
            now=time.time(),
            late_after_seconds=self.late_after.total_seconds() if self.late_after else None,
        )
        pushadd_to_gateway(
            settings.pushgateway_url(),
            job="airflow",
            grouping_key={"dag_id": context["dag"].dag_id},
            registry=registry,
            timeout=PUSH_TIMEOUT_SECONDS,
            handler=as_airflow,
        )
