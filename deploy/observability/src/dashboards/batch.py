"""batch-etl: how its last run went."""

from dashboards.panels import COUNT, SECONDS, Dashboard, Query, Row, lines, number, numbers, or_none

# services/batch-etl/README.md
_EXITS = {
    0: "done",
    10: "nothing to do",
    11: "input set aside",
    12: "out of memory",
    75: "try again",
    130: "interrupted",
    143: "ended",
    1: "failed",
}

_LAST = Row(
    "The last run",
    (
        number(
            "Ended with",
            "Good: done, or nothing to do.",
            COUNT,
            "max(pinflow_batch_exit_code)",
            red_from=11,
            words=_EXITS,
        ),
        number(
            "Reported",
            "Time since a run, good or not, last pushed its metrics. Good: below the schedule's interval.",
            SECONDS,
            'time() - max(push_time_seconds{job="batch-etl"})',
            red_from=26 * 3600,
        ),
        number(
            "Last good run",
            "The catalogue is that old. Good: below the schedule's interval.",
            SECONDS,
            "time() - max(pinflow_batch_last_success_timestamp_seconds)",
            red_from=26 * 3600,
        ),
        number(
            "Stages lost",
            "How often it began again because its staging was gone. Good: 0.",
            COUNT,
            "max(pinflow_batch_stages_lost)",
            red_from=1,
        ),
        numbers(
            "Objects",
            "Archive objects loaded, and set aside because they cannot be read. Good: none set aside.",
            COUNT,
            Query("max by (outcome) (pinflow_batch_objects)", "{{outcome}}"),
        ),
    ),
)

_RECORDS = Row(
    "Its records",
    (
        numbers(
            "By outcome",
            "read = clean + duplicate + rejected, or the run would not have been recorded (P4).",
            COUNT,
            Query("max by (outcome) (pinflow_batch_records)", "{{outcome}}"),
        ),
        numbers(
            "Rejected, by reason",
            "Good: no_image, at a steady share; another reason is a dead letter of the sink too.",
            COUNT,
            Query(
                or_none("max by (reason) (pinflow_batch_records_rejected)", "reason"),
                "{{reason}}",
            ),
        ),
    ),
)

_RUNS = Row(
    "Runs",
    (
        lines(
            "Time of each step",
            "Good: write is the longest. A growing list step is a bucket with very many objects.",
            SECONDS,
            Query("max by (step) (pinflow_batch_step_seconds)", "{{step}}"),
        ),
        lines(
            "Records of the last run over time",
            "A step a run. Good: what came in between two runs.",
            COUNT,
            Query("max by (outcome) (pinflow_batch_records)", "{{outcome}}"),
        ),
    ),
)

BATCH = Dashboard(
    "pinflow-batch", "Pinflow: batch-etl", "Archive in, catalogue out (P3, P4, P5).", (_LAST, _RECORDS, _RUNS)
)
