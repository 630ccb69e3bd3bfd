"""stream-etl: how live the windows are."""

from dashboards.panels import (
    BYTES,
    COUNT,
    PER_SECOND,
    SECONDS,
    Dashboard,
    Query,
    Row,
    last_hour,
    lines,
    number,
    numbers,
    process,
    quantile,
    rate,
)

_BEHIND = Row(
    "How far behind",
    (
        lines(
            "Lag",
            "Age of the newest record written while newer ones wait. Good: live below 3 s, sessions 10 s.",
            SECONDS,
            Query("max by (query) (pinflow_stream_lag_seconds)", "{{query}}"),
            red_from=120,
        ),
        lines(
            "Records that wait",
            "Good: below one batch (STREAM_BATCH_MAX_RECORDS, 5000).",
            COUNT,
            Query("max by (query) (pinflow_stream_lag_records)", "{{query}}"),
        ),
        lines(
            "Age of the watermark",
            "Windows older than it are closed. Good: a minute and a bit; it grows when no pins come.",
            SECONDS,
            Query("time() - max by (query) (pinflow_stream_watermark_timestamp_seconds)", "{{query}}"),
        ),
        number(
            "Stopped",
            "1 while the job waits for a person: /health/ready says why. Good: 0.",
            COUNT,
            "max(pinflow_stream_stopped) or vector(0)",
            red_from=1,
        ),
        numbers(
            "Rejected in an hour, by reason",
            "Records that are no pins or have no image, kept in rejected_pins. Good: a steady share.",
            COUNT,
            Query(last_hour("pinflow_stream_rejected_total", "reason"), "{{reason}}"),
        ),
    ),
)

_BATCHES = Row(
    "Batches",
    (
        lines(
            "Records written",
            "Records in batches that were written. Good: what is accepted.",
            PER_SECOND,
            Query(rate("pinflow_stream_records_total"), "records"),
        ),
        lines(
            "Rows written, by table",
            "Good: pins as accepted, pin_windows a few a second; late_pins few.",
            PER_SECOND,
            Query(rate("pinflow_stream_rows_written_total", "table"), "{{table}}"),
        ),
        lines(
            "Batches by outcome",
            "Good: written. A replayed one, after a crash, was found in the ledger and changed nothing. "
            "One is staged again while PostgreSQL is away, or when it lost what was staged.",
            PER_SECOND,
            Query(rate("pinflow_stream_batches_total", "query", "outcome"), "{{query}}: {{outcome}}"),
            Query(rate("pinflow_stream_staged_again_total", "query"), "{{query}}: staged again"),
        ),
        lines(
            "Topics created again",
            "Good: none. Each is read from its start; records that the old one still held are gone.",
            PER_SECOND,
            Query(rate("pinflow_stream_logs_replaced_total"), "logs"),
            Query(rate("pinflow_stream_records_gone_with_their_log_total"), "records gone"),
        ),
        lines(
            "Time of a batch, p95",
            "As Spark measures it, from planning to its commit. Good: live below 1 s.",
            SECONDS,
            Query(quantile(0.95, "pinflow_stream_batch_seconds", "query"), "{{query}}"),
        ),
        lines(
            "Time in PostgreSQL, p95",
            "From a batch's staged rows to their commit. Good: below 0.25 s, a small part of a batch.",
            SECONDS,
            Query(quantile(0.95, "pinflow_stream_write_seconds", "query"), "{{query}}"),
        ),
    ),
)

_STATE = Row(
    "State",
    (
        lines(
            "Rows in the state stores",
            "Windows and pins that the watermark has not passed. Good: flat at a steady rate (P6).",
            COUNT,
            Query("max by (query) (pinflow_stream_state_rows)", "{{query}}"),
        ),
        lines(
            "Memory of the state stores",
            "Good: flat at a steady rate (P6).",
            BYTES,
            Query("max by (query) (pinflow_stream_state_memory_bytes)", "{{query}}"),
        ),
        lines(
            "Memory of Spark",
            "Resident memory of its JVM, most of what the container takes. Good: flat (P6).",
            BYTES,
            Query("max by (instance) (pinflow_stream_spark_resident_memory_bytes)", "{{instance}}"),
        ),
        lines(
            "Rows behind the watermark",
            "What Spark left out of a window; those of live are kept in late_pins. Good: near 0.",
            PER_SECOND,
            Query(rate("pinflow_stream_rows_dropped_by_watermark_total", "query"), "{{query}}"),
        ),
    ),
)

STREAM = Dashboard(
    "pinflow-stream",
    "Pinflow: stream-etl",
    "Kafka in, live windows out (P3, P4, P6).",
    (_BEHIND, _BATCHES, _STATE, process("stream-etl")),
)
