"""Every metric of the DAGs, with its meaning. They are pushed; the Pushgateway adds the dag_id of the DAG."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Gauge


class DagMetrics:
    """How a run of a DAG ended; built once per run."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.last_run_failed = Gauge(
            "pinflow_dag_last_run_failed",
            "1 if the DAG's last run failed, 0 if it ended well",
            registry=registry,
        )

    def tell(self, *, failed: bool, now: float, late_after_seconds: float | None) -> None:
        """Take over how the run ended; `now` in seconds since the epoch."""
        self.last_run_failed.set(failed)
        if not failed:
            # Made only now: a failed run must not push 0 over the last success.
            Gauge(
                "pinflow_dag_last_success_timestamp_seconds",
                "When a run of the DAG last ended well",
                registry=self._registry,
            ).set(now)
        if late_after_seconds is not None:
            # Only of those with a schedule: nobody waits for the others.
            Gauge(
                "pinflow_dag_late_after_seconds",
                "How long after its last success a scheduled DAG is late",
                registry=self._registry,
            ).set(late_after_seconds)


class HealthMetrics:
    """What a run of pins_health leaves behind; to be pushed in place of what the run before left."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sick = Gauge(
            "pinflow_health_sick",
            "1 for each container that is still sick after everything pins_health may do, by what it has",
            ["container", "reason"],
            registry=registry,
        )
        self.restarts = Gauge(
            "pinflow_health_restarts",
            "Restarts of a container by pins_health within the last hour",
            ["container"],
            registry=registry,
        )

    def tell(self, sick: Iterable[tuple[str, str]], restarts: Mapping[str, int]) -> None:
        """Take over what is sick, as pairs of container and reason, and how often each was restarted."""
        for container, reason in sick:
            self.sick.labels(container, reason).set(1)
        for container, count in restarts.items():
            self.restarts.labels(container).set(count)
