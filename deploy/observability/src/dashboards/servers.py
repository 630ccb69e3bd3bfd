"""Kafka, Cassandra, their JVMs, and the disks under them."""

from dashboards.panels import (
    BYTES,
    COUNT,
    PER_SECOND,
    SECONDS,
    SHARE,
    Dashboard,
    Query,
    Row,
    lines,
    number,
    rate,
)

_KAFKA = Row(
    "Kafka",
    (
        lines(
            "Messages in, by topic",
            "Good: pins as accepted, pins.dead-letter none.",
            PER_SECOND,
            Query(rate("kafka_messages_in_total", "topic"), "{{topic}}"),
        ),
        lines(
            "Bytes in and out",
            "Good: out is twice in, archive and windows; more while one of them catches up.",
            "Bps",
            Query(rate("kafka_bytes_in_total"), "in"),
            Query(rate("kafka_bytes_out_total"), "out"),
        ),
        lines(
            "Time of a request to Kafka, p99",
            "FetchConsumer waits for records: 0.5 s is rest. Good: Produce below 0.1 s.",
            SECONDS,
            Query("max by (request) (kafka_request_p99_seconds)", "{{request}}"),
        ),
        lines(
            "Size of the logs, by topic",
            "Good: flat once retention bites (7 days, P6).",
            BYTES,
            Query("sum by (topic) (kafka_log_size_bytes)", "{{topic}}"),
        ),
        number(
            "Offline partitions",
            "Partitions without a leader: their pins get 503. Good: 0.",
            COUNT,
            "max(kafka_offline_partitions)",
            red_from=1,
        ),
        number(
            "Under-replicated partitions",
            "Good: 0, but for minutes after a broker's restart.",
            COUNT,
            "sum(kafka_under_replicated_partitions)",
            red_from=1,
        ),
    ),
)

_CASSANDRA = Row(
    "Cassandra",
    (
        lines(
            "Requests",
            "Good: writes come with each run of batch-etl.",
            PER_SECOND,
            Query(rate("cassandra_client_requests_total", "operation"), "{{operation}}"),
        ),
        lines(
            "Time of a request to Cassandra, p99",
            "Good: writes below 0.1 s during a run.",
            SECONDS,
            Query("max by (operation) (cassandra_client_request_p99_seconds)", "{{operation}}"),
        ),
        lines(
            "Errors and dropped messages",
            "Timeouts, too few replicas, failures, and what waited for too long. Good: 0.",
            PER_SECOND,
            Query(
                rate("cassandra_client_request_errors_total", "operation", "error"), "{{operation}} {{error}}"
            ),
            Query(rate("cassandra_dropped_messages_total", "message"), "dropped {{message}}"),
        ),
        lines(
            "Compactions that wait",
            "Good: back to 0 after a run.",
            COUNT,
            Query("max by (instance) (cassandra_pending_compactions)", "{{instance}}"),
        ),
        lines(
            "Data on disk",
            "Good: grows with the catalogue, not with repeated runs (P3).",
            BYTES,
            Query("max by (instance) (cassandra_storage_load_bytes)", "{{instance}}"),
        ),
    ),
)

_POSTGRES_AND_REDIS = Row(
    "PostgreSQL and Redis",
    (
        lines(
            "Sessions of PostgreSQL, by account",
            "Good: a handful of stream_etl, one of exporter.",
            COUNT,
            Query('sum by (usename) (pg_stat_activity_count{usename!=""})', "{{usename}}"),
        ),
        lines(
            "Size of the database",
            "Good: grows with pins and windows, not with repeated batches (P3).",
            BYTES,
            Query('max(pg_database_size_bytes{datname="pinflow"})', "pinflow"),
        ),
        lines(
            "Memory of Redis",
            "Share of its limit. Good: below 0.9 while a run is staged, near 0 after it (P6).",
            SHARE,
            Query("max(redis_memory_used_bytes / redis_memory_max_bytes)", "used"),
            red_from=0.9,
        ),
    ),
)

_JVM = Row(
    "Java",
    (
        lines(
            "Heap in use",
            "Share of the heap's limit. Good: a saw below 0.9.",
            SHARE,
            Query(
                'max by (job, instance) (jvm_memory_used_bytes{area="heap"}'
                ' / jvm_memory_max_bytes{area="heap"})',
                "{{job}} {{instance}}",
            ),
            red_from=0.9,
        ),
        lines(
            "Time in garbage collection",
            "Share of time that everything stands. Good: below 0.05.",
            SHARE,
            Query(rate("jvm_gc_collection_seconds_sum", "job", "instance"), "{{job}} {{instance}}"),
            red_from=0.05,
        ),
    ),
)

_HOST = Row(
    "Disks",
    (
        lines(
            "Free share",
            "Good: above 0.1, and flat over a day.",
            SHARE,
            Query(
                "min by (instance, mountpoint) (node_filesystem_avail_bytes"
                '{fstype!~"tmpfs|ramfs|overlay|squashfs|nsfs"} / node_filesystem_size_bytes)',
                "{{mountpoint}}",
            ),
        ),
    ),
)

SERVERS = Dashboard(
    "pinflow-servers",
    "Pinflow: JVM and brokers",
    "What the stages stand on.",
    (_KAFKA, _CASSANDRA, _POSTGRES_AND_REDIS, _JVM, _HOST),
)
