"""Every metric of stream-etl, with its meaning."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60)


class StreamMetrics:
    """Built once per process and passed down. The label `query` is `live` or `sessions`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "pinflow_stream_records", "Records of the topic in batches this process wrote", registry=registry
        )
        self.rows = Counter(
            "pinflow_stream_rows_written",
            "Rows merged in committed batches, by table",
            ["table"],
            registry=registry,
        )
        self.rejected = Counter(
            "pinflow_stream_rejected",
            "Records that are no pins, or pins that are not taken, by reason",
            ["reason"],
            registry=registry,
        )
        self.batches = Counter(
            "pinflow_stream_batches",
            "Batches by outcome: written, or replayed (the ledger had it, nothing was written)",
            ["query", "outcome"],
            registry=registry,
        )
        self.staged_again = Counter(
            "pinflow_stream_staged_again",
            "Times that a batch was staged again: a task could not, or PostgreSQL lost what was staged",
            ["query"],
            registry=registry,
        )
        self.logs_replaced = Counter(
            "pinflow_stream_logs_replaced",
            "Times that the topic was found deleted and created again while it was read",
            registry=registry,
        )
        self.gone_with_their_log = Counter(
            "pinflow_stream_records_gone_with_their_log",
            "Records that a log still held when it was deleted, as far as its end was known; never read",
            registry=registry,
        )
        self.write_seconds = Histogram(
            "pinflow_stream_write_seconds",
            "From a batch's staged rows to their commit in PostgreSQL, waiting included",
            ["query"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "pinflow_stream_batch_seconds",
            "A whole batch as Spark measures it, from planning to its commit",
            ["query"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.lag_records = Gauge(
            "pinflow_stream_lag_records",
            "Records in the log but not in a finished batch",
            ["query"],
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "pinflow_stream_lag_seconds",
            "Age of the newest record written while newer ones wait, at most; 0 when none waits",
            ["query"],
            registry=registry,
        )
        self.watermark = Gauge(
            "pinflow_stream_watermark_timestamp_seconds",
            "Event time before which windows are closed, in seconds since the Unix epoch",
            ["query"],
            registry=registry,
        )
        self.dropped = Counter(
            "pinflow_stream_rows_dropped_by_watermark",
            "Rows that Spark left out because they came behind the watermark",
            ["query"],
            registry=registry,
        )
        self.state_rows = Gauge(
            "pinflow_stream_state_rows", "Rows in the state stores", ["query"], registry=registry
        )
        self.state_bytes = Gauge(
            "pinflow_stream_state_memory_bytes", "Memory of the state stores", ["query"], registry=registry
        )
        self.spark_memory = Gauge(
            "pinflow_stream_spark_resident_memory_bytes",
            "Memory of Spark's JVM, a process of its own beside the one that `process_…` tells of",
            registry=registry,
        )
        self.stopped = Gauge(
            "pinflow_stream_stopped",
            "1 while the job waits for a person, by reason",
            ["reason"],
            registry=registry,
        )
        # From 0 on: `increase` and `rate` do not see a series begin.
        for query in ("live", "sessions"):
            self.batches.labels(query, "written")
            for metric in (self.staged_again, self.write_seconds, self.batch_seconds):
                metric.labels(query)
