"""Airflow: whether what is scheduled ends well and in time, and what pins_health could not mend."""

from dashboards.panels import (
    COUNT,
    PER_SECOND,
    SECONDS,
    SHARE,
    Dashboard,
    Query,
    Row,
    lines,
    number,
    numbers,
    or_none,
    rate,
)

_AGE = "time() - max by (dag_id) (pinflow_dag_last_success_timestamp_seconds)"

_OUTCOMES = Row(
    "The schedule",
    (
        numbers(
            "Last run failed, by DAG",
            "1 where the last run failed. Good: all 0.",
            COUNT,
            Query("max by (dag_id) (pinflow_dag_last_run_failed)", "{{dag_id}}"),
            red_from=1,
        ),
        numbers(
            "Since the last success, by DAG",
            "Good: below the schedule's interval. Nobody waits for those that are started by hand.",
            SECONDS,
            Query(_AGE, "{{dag_id}}"),
        ),
        lines(
            "Age of the last success, as a share of what it may be",
            "Good: a saw well below 1, where a scheduled DAG is late.",
            SHARE,
            Query(f"({_AGE}) / max by (dag_id) (pinflow_dag_late_after_seconds)", "{{dag_id}}"),
            red_from=1,
        ),
        lines(
            "Runs ended in an hour, by DAG",
            "Good: pins_health 12, pins_batch 1, and no failed ones.",
            COUNT,
            Query("sum by (dag_id) (increase(airflow_dagrun_duration_success_count[1h]))", "{{dag_id}}"),
            Query(
                or_none("sum by (dag_id) (increase(airflow_dagrun_duration_failed_count[1h]))", "dag_id"),
                "{{dag_id}}: failed",
            ),
        ),
    ),
)

_HEALTH = Row(
    "What pins_health found",
    (
        numbers(
            "Still sick",
            "Containers, and of what, after everything pins_health may do. Good: none.",
            COUNT,
            Query(
                or_none("max by (container, reason) (pinflow_health_sick)", "container"),
                "{{container}} {{reason}}",
            ),
            red_from=1,
        ),
        numbers(
            "Restarted in an hour",
            "Restarts by pins_health; the third is the last. Good: none.",
            COUNT,
            Query(or_none("max by (container) (pinflow_health_restarts)", "container"), "{{container}}"),
            red_from=3,
        ),
    ),
)

_RUNS = Row(
    "Runs and tasks",
    (
        lines(
            "Time of a run, by DAG",
            "The longest good run of two hours. Good: pins_health below a minute, pins_batch flat.",
            SECONDS,
            Query('max by (dag_id) (airflow_dagrun_duration_success{quantile="0.99"})', "{{dag_id}}"),
        ),
        lines(
            "Delay of a run, by DAG",
            "From its time to its start, the longest of two hours. Good: some seconds.",
            SECONDS,
            Query(
                or_none('max by (dag_id) (airflow_dagrun_schedule_delay{quantile="0.99"})', "dag_id"),
                "{{dag_id}}",
            ),
        ),
        lines(
            "Tasks ended in an hour, by state",
            "Good: success, and skipped where there was nothing to do; a task that waits is deferred first.",
            COUNT,
            Query("sum by (state) (increase(airflow_ti_finish[1h]))", "{{state}}"),
        ),
        lines(
            "Tasks in the executor, and what waits in the triggerer",
            "Good: none queued for long, and open slots left.",
            COUNT,
            Query("max(airflow_executor_open_slots)", "open slots"),
            Query("max(airflow_executor_queued_tasks)", "queued"),
            Query("max(airflow_executor_running_tasks)", "running"),
            Query("max(airflow_triggers_running)", "triggers"),
        ),
    ),
)

_PROCESSES = Row(
    "Airflow's processes",
    (
        number(
            "Files it cannot read",
            "DAG files with an error. Good: 0.",
            COUNT,
            "max(airflow_dag_processing_import_errors)",
            red_from=1,
        ),
        number(
            "Time to read all of them",
            "Good: below 10 s.",
            SECONDS,
            "max(airflow_dag_processing_total_parse_time)",
            red_from=30,
        ),
        lines(
            "Heartbeats",
            "Good: each flat at some tenths a second.",
            PER_SECOND,
            Query(rate("airflow_heartbeats_total", "process"), "{{process}}"),
        ),
    ),
)

AIRFLOW = Dashboard(
    "pinflow-airflow",
    "Pinflow: Airflow",
    "What is scheduled, and what did not mend (P5, P7).",
    (_OUTCOMES, _HEALTH, _RUNS, _PROCESSES),
)
