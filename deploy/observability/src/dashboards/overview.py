"""The line left to right: rates, lags, counts, and what is down."""

from dashboards.panels import (
    COUNT,
    PER_SECOND,
    SECONDS,
    STATE,
    Dashboard,
    Query,
    Row,
    last_hour_total,
    lines,
    number,
    numbers,
    or_none,
    rate,
)

_LINE = Row(
    "The line, left to right",
    (
        number(
            "Accepted",
            "Pins acknowledged by every in-sync replica. Good: what clients post.",
            PER_SECOND,
            rate("pinflow_ingest_pins_accepted_total"),
        ),
        number(
            "Into Kafka",
            "Records appended to the topic pins. Good: the same as accepted; more means another producer.",
            PER_SECOND,
            rate('kafka_messages_in_total{topic="pins"}'),
        ),
        number(
            "Archived",
            "Records in new objects. Good: the same in the mean; objects come in gusts.",
            PER_SECOND,
            rate("pinflow_sink_records_archived_total"),
        ),
        number(
            "Catalogue, last run",
            "Clean pins of the last run of batch-etl. Good: what came in since the one before.",
            COUNT,
            'max(pinflow_batch_records{outcome="clean"})',
        ),
        number(
            "Live rows",
            "Pins written to PostgreSQL. Good: the same as accepted, less what is rejected.",
            PER_SECOND,
            rate('pinflow_stream_rows_written_total{table="pins"}'),
        ),
        number(
            "Targets down",
            "What gives no metrics. Good: 0.",
            COUNT,
            "count(up == 0) or vector(0)",
            red_from=1,
        ),
    ),
)

_LAG = Row(
    "How far behind",
    (
        lines(
            "Archive and live windows",
            "Age of the oldest record not archived, and of the newest one not yet in a window. "
            "Good: the archive below a flush interval (60 s), the windows below 3 s.",
            SECONDS,
            Query("max(pinflow_sink_lag_seconds)", "archive"),
            Query("max by (query) (pinflow_stream_lag_seconds)", "{{query}}"),
        ),
        lines(
            "Catalogue",
            "Time since the last good run of batch-etl. Good: below the schedule's interval.",
            SECONDS,
            Query("time() - max(pinflow_batch_last_success_timestamp_seconds)", "catalogue"),
        ),
    ),
)

_INSTEAD = Row(
    "Where pins went instead, last hour",
    (
        number(
            "Refused",
            "Pins that break the contract; the client was told. Good: few; a jump is a client's new version.",
            COUNT,
            last_hour_total("pinflow_ingest_pins_refused_total"),
        ),
        number(
            "Unconfirmed",
            "Pins answered with 429 or 503; clients post them again. Good: 0.",
            COUNT,
            last_hour_total("pinflow_ingest_pins_unconfirmed_total"),
            red_from=1,
        ),
        number(
            "Dead letters",
            "Records of the topic that are no pins. Good: 0.",
            COUNT,
            last_hour_total("pinflow_sink_dead_letters_total"),
            red_from=1,
        ),
        number(
            "Rejected live",
            "Records kept in rejected_pins with their reason. Good: a steady share (pins without an image).",
            COUNT,
            last_hour_total("pinflow_stream_rejected_total"),
        ),
        number(
            "Rejected, last run",
            "Records that the last batch run rejected. Good: the same share as live.",
            COUNT,
            'max(pinflow_batch_records{outcome="rejected"})',
        ),
        number(
            "Set aside, last run",
            "Archive keys that could not be read. Good: 0.",
            COUNT,
            'max(pinflow_batch_objects{outcome="set_aside"})',
            red_from=1,
        ),
    ),
)

_DOWN = Row(
    "What is down",
    (
        numbers("Targets", "Good: all up.", STATE, Query("min by (job) (up)", "{{job}}")),
        numbers(
            "What each service waits for",
            "A service's own word on its dependencies; pins-N is a partition. Good: all up.",
            STATE,
            Query(
                'min by (job, dependency) (pinflow_dependency_up{job!="batch-etl"})',
                "{{job}}: {{dependency}}",
            ),
        ),
        numbers(
            "Alerts that fire",
            "Each has a summary and a runbook in Alertmanager. Good: none.",
            COUNT,
            Query(
                or_none('count by (alertname) (ALERTS{alertstate="firing"})', "alertname"),
                "{{alertname}}",
            ),
            red_from=1,
        ),
    ),
)

OVERVIEW = Dashboard(
    "pinflow-overview", "Pinflow: overview", "Where pins are, and how late.", (_LINE, _LAG, _INSTEAD, _DOWN)
)
