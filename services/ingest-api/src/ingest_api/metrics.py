"""Every metric of ingest-api, with its meaning."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_RECORDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class IngestMetrics:
    """Built once per process and passed down."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.accepted = Counter(
            "pinflow_ingest_pins_accepted", "Pins acknowledged by every in-sync replica", registry=registry
        )
        self.refused = Counter(
            "pinflow_ingest_pins_refused", "Pins refused by the contract", ["rule"], registry=registry
        )
        self.unconfirmed = Counter(
            "pinflow_ingest_pins_unconfirmed",
            "Pins answered with 429 or 503; a body that was not read counts as one",
            ["reason"],
            registry=registry,
        )
        self.unknown_fields = Counter(
            "pinflow_ingest_unknown_fields", "Fields the contract does not know", registry=registry
        )
        self.request_seconds = Histogram(
            "pinflow_ingest_request_seconds",
            "From the first byte of a request to its answer",
            ["route", "status"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.pending_bytes = Gauge(
            "pinflow_ingest_pending_bytes",
            "Bodies that are being read and pins that await their ack",
            registry=registry,
        )
        self.batch_records = Histogram(
            "pinflow_ingest_batch_records", "Pins in one Kafka batch", buckets=_RECORDS, registry=registry
        )
