"""s3-sink: how far the archive is, and what holds it up."""

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
            "Age of the oldest record not archived",
            "Good: a saw between 0 and SINK_FLUSH_MAX_SECONDS (60 s).",
            SECONDS,
            Query("max by (partition) (pinflow_sink_lag_seconds)", "{{partition}}"),
            red_from=300,
        ),
        lines(
            "Records not archived",
            "Good: a saw of the same teeth.",
            COUNT,
            Query("max by (partition) (pinflow_sink_lag_records)", "{{partition}}"),
        ),
        number(
            "Partitions stopped",
            "Partitions that wait for a person: /health/ready names them and why. Good: 0.",
            COUNT,
            "count(pinflow_sink_partition_stopped == 1) or vector(0)",
            red_from=1,
        ),
        numbers(
            "Dead letters in an hour, by reason",
            "Records that are no pins: archived, and sent to pins.dead-letter. Good: none.",
            COUNT,
            Query(last_hour("pinflow_sink_dead_letters_total", "reason"), "{{reason}}"),
            red_from=1,
        ),
    ),
)

_ARCHIVE = Row(
    "The archive grows",
    (
        lines(
            "Records archived",
            "Good: what is accepted, in gusts.",
            PER_SECOND,
            Query(rate("pinflow_sink_records_archived_total"), "records"),
        ),
        lines(
            "Objects by outcome",
            "Good: stored. Adopted ones were stored by another member, after a rebalance.",
            PER_SECOND,
            Query(rate("pinflow_sink_objects_total", "outcome"), "{{outcome}}"),
        ),
        lines(
            "Topics created again",
            "Good: none. Each is archived beside the old one; records that the old one still held are gone.",
            PER_SECOND,
            Query(rate("pinflow_sink_logs_replaced_total"), "logs"),
            Query(rate("pinflow_sink_records_gone_with_their_log_total"), "records gone"),
        ),
        lines(
            "Bytes stored",
            "Compressed bytes of new objects. Good: about a third of what comes in.",
            "Bps",
            Query(rate("pinflow_sink_object_bytes_total"), "bytes"),
        ),
        lines(
            "Time to store an object",
            "From sealed to stored, waiting included. Good: p99 below 1 s.",
            SECONDS,
            Query(quantile(0.5, "pinflow_sink_store_seconds"), "p50"),
            Query(quantile(0.99, "pinflow_sink_store_seconds"), "p99"),
        ),
        lines(
            "Bytes not yet stored",
            "Good: below SINK_BUFFER_MAX_BYTES (64 MiB); there it stops reading.",
            BYTES,
            Query("max by (instance) (pinflow_sink_buffered_bytes)", "{{instance}}"),
            red_from=64 * 1024 * 1024,
        ),
    ),
)

SINK = Dashboard(
    "pinflow-sink",
    "Pinflow: s3-sink",
    "Kafka in, archive out (P2, P4, P6).",
    (_BEHIND, _ARCHIVE, process("s3-sink")),
)
