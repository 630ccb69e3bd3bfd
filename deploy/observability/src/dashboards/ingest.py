"""ingest-api: how it answers, and what it refuses."""

from dashboards.panels import (
    BYTES,
    COUNT,
    PER_SECOND,
    SECONDS,
    Dashboard,
    Query,
    Row,
    last_hour,
    last_hour_total,
    lines,
    number,
    numbers,
    process,
    quantile,
    rate,
)

_SECONDS = "pinflow_ingest_request_seconds"

_ANSWERS = Row(
    "Answers",
    (
        lines(
            "Requests by status",
            "Good: 200. 4xx is the client's, 429 and 503 are Kafka's, 500 is a bug.",
            PER_SECOND,
            Query(rate(f"{_SECONDS}_count", "status"), "{{status}}"),
        ),
        lines(
            "Time to an answer",
            "From a request's first byte to its answer, a slow client's too. Good: p99 below 0.1 s, never 5.",
            SECONDS,
            Query(quantile(0.5, _SECONDS), "p50"),
            Query(quantile(0.99, _SECONDS), "p99"),
            red_from=5,
        ),
    ),
)

_PINS = Row(
    "Pins",
    (
        lines(
            "Accepted",
            "Pins acknowledged by every in-sync replica. Good: what clients post.",
            PER_SECOND,
            Query(rate("pinflow_ingest_pins_accepted_total"), "accepted"),
        ),
        numbers(
            "Refused in an hour, by rule",
            "Pins that break the contract; nothing of their request is stored. Good: few, and known clients.",
            COUNT,
            Query(last_hour("pinflow_ingest_pins_refused_total", "rule"), "{{rule}}"),
        ),
        numbers(
            "Unconfirmed in an hour, by reason",
            "Pins answered with 429 (queue_full) or 503. Good: none.",
            COUNT,
            Query(last_hour("pinflow_ingest_pins_unconfirmed_total", "reason"), "{{reason}}"),
        ),
        number(
            "Posts refused by the edge in an hour",
            "Another host (421) or another path (404): stored nowhere, and the client was told. Good: 0.",
            COUNT,
            last_hour_total(
                'caddy_http_request_duration_seconds_count{server="edge",method="POST",code=~"404|421"}'
            ),
        ),
        number(
            "Unknown fields in an hour",
            "Fields the contract does not know: archived, read by no job. Good: 0, or a version to come.",
            COUNT,
            last_hour_total("pinflow_ingest_unknown_fields_total"),
        ),
    ),
)

_KAFKA = Row(
    "Towards Kafka",
    (
        lines(
            "Bytes that await their ack",
            "Good: near 0. Beyond INGEST_QUEUE_MAX_BYTES (64 MiB) clients get 429.",
            BYTES,
            Query("max by (instance) (pinflow_ingest_pending_bytes)", "{{instance}}"),
            red_from=64 * 1024 * 1024,
        ),
        lines(
            "Pins in a Kafka batch",
            "Good: 1 at rest; the more the posts, the fuller.",
            COUNT,
            Query(quantile(0.5, "pinflow_ingest_batch_records"), "p50"),
            Query(quantile(0.99, "pinflow_ingest_batch_records"), "p99"),
        ),
    ),
)

INGEST = Dashboard(
    "pinflow-ingest",
    "Pinflow: ingest-api",
    "HTTP in, Kafka out (P1, P4).",
    (_ANSWERS, _PINS, _KAFKA, process("ingest-api")),
)
