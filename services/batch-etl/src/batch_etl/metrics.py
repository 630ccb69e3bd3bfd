"""Every metric of batch-etl, with its meaning. A run is short: they are pushed at its end."""

from prometheus_client import CollectorRegistry, Gauge

from batch_etl.exits import Exit
from batch_etl.outcome import Run


class BatchMetrics:
    """What one run did; built once per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.records = Gauge(
            "pinflow_batch_records",
            "Records of the last run by where they went: read = clean + duplicate + rejected",
            ["outcome"],
            registry=registry,
        )
        self.rejected = Gauge(
            "pinflow_batch_records_rejected",
            "Rejected records of the last run by reason",
            ["reason"],
            registry=registry,
        )
        self.objects = Gauge(
            "pinflow_batch_objects",
            "Archive objects of the last run: loaded, or set aside because they cannot be read",
            ["outcome"],
            registry=registry,
        )
        self.step_seconds = Gauge(
            "pinflow_batch_step_seconds",
            "How long each step of the last run took",
            ["step"],
            registry=registry,
        )
        self.stages_lost = Gauge(
            "pinflow_batch_stages_lost", "How often the last run started again", registry=registry
        )
        self.exit_code = Gauge(
            "pinflow_batch_exit_code", "How the last run ended: see the README", registry=registry
        )

    def tell(self, run: Run, now: float) -> None:
        """Take over what the run did; `now` in seconds since the epoch."""
        account, rejected = run.account, run.account.rejected
        counts = {"read": account.read, "clean": account.clean, "duplicate": account.duplicate}
        for outcome, count in {**counts, "rejected": sum(rejected.values())}.items():
            self.records.labels(outcome).set(count)
        for reason, count in rejected.items():
            self.rejected.labels(reason).set(count)
        self.objects.labels("loaded").set(len(account.objects))
        self.objects.labels("set_aside").set(len(run.set_aside))
        for step, seconds in run.seconds.items():
            self.step_seconds.labels(step).set(seconds)
        self.stages_lost.set(run.stages_lost)
        self.exit_code.set(run.exit)
        if run.exit in {Exit.DONE, Exit.NOTHING_TO_DO, Exit.SET_ASIDE}:
            # Made only now: a failed run must not push 0 over the last success.
            Gauge(
                "pinflow_batch_last_success_timestamp_seconds",
                "When a run last ended well",
                registry=self._registry,
            ).set(now)
