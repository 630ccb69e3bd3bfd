"""Every metric of s3-sink, with its meaning."""

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class SinkMetrics:
    """Built once per process and passed down."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "pinflow_sink_records_archived", "Records in objects this process stored", registry=registry
        )
        self.objects = Counter(
            "pinflow_sink_objects",
            "Objects by outcome: stored, or adopted from another member",
            ["outcome"],
            registry=registry,
        )
        self.object_bytes = Counter(
            "pinflow_sink_object_bytes", "Compressed bytes of the objects stored", registry=registry
        )
        self.store_seconds = Histogram(
            "pinflow_sink_store_seconds",
            "From a sealed object to its place in the bucket, waiting included",
            buckets=_SECONDS,
            registry=registry,
        )
        self.dead_letters = Counter(
            "pinflow_sink_dead_letters",
            "Records sent to the dead-letter topic",
            ["reason"],
            registry=registry,
        )
        self.buffered_bytes = Gauge(
            "pinflow_sink_buffered_bytes", "Bytes of objects not yet stored", registry=registry
        )
        self.lag_records = Gauge(
            "pinflow_sink_lag_records",
            "Records in the log but not yet archived",
            ["partition"],
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "pinflow_sink_lag_seconds",
            "Age of the oldest record not yet archived, at most; 0 when none waits",
            ["partition"],
            registry=registry,
        )
        self.logs_replaced = Counter(
            "pinflow_sink_logs_replaced",
            "Times that the topic was found deleted and created again while a partition was read",
            ["partition"],
            registry=registry,
        )
        self.gone_with_their_log = Counter(
            "pinflow_sink_records_gone_with_their_log",
            "Records that a log still held when it was deleted, as far as its end was known; never archived",
            ["partition"],
            registry=registry,
        )
        self.stopped = Gauge(
            "pinflow_sink_partition_stopped",
            "1 for a partition that is not archived, by reason; asked again every minute",
            ["partition", "reason"],
            registry=registry,
        )

    def show_stopped(self, partition: int, reason: str | None) -> None:
        """Show why a partition is stopped, or that it is not."""
        self.stopped.remove_by_labels({"partition": str(partition)})
        if reason is not None:
            self.stopped.labels(partition, reason).set(1)

    def show_only(self, mine: Collection[int]) -> None:
        """Show these partitions, and no more those that other members show now."""
        for partition in mine:  # from 0 on: `increase` does not see a series begin at 1
            self.logs_replaced.labels(partition)
            self.gone_with_their_log.labels(partition)
        gauges = (self.lag_records, self.lag_seconds, self.stopped)
        shown = {
            int(sample.labels["partition"])
            for gauge in gauges
            for family in gauge.collect()
            for sample in family.samples
        }
        for partition in shown - set(mine):
            for gauge in gauges:
                gauge.remove_by_labels({"partition": str(partition)})
