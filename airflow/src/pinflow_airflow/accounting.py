"""A run of batch-etl by its row in `pinterest.etl_runs`: whether it adds up, and how long its steps took."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from pinflow_airflow.dags import CATALOGUE
from pinflow_airflow.operators import Printed, RunContainer

Row = Mapping[str, Any]
# Reads the table as the auditor, who may do nothing else, and prints a row a line.
LEDGER_SERVICE = "etl-runs"


class CheckAccounting(RunContainer):
    """Holds a run to its accounting, and publishes the catalogue with its counts."""

    def __init__(self, *, of_task: str, **options: Any) -> None:
        super().__init__(service=LEDGER_SERVICE, outlets=[CATALOGUE], **options)
        self.of_task = of_task

    def result(self, printed: Printed, context: Context) -> dict[str, Any]:
        """Return the counts of the run that the task made."""
        row = row_of(printed, context["ti"].xcom_pull(task_ids=self.of_task)["run_id"])
        counts = checked(row)
        context["outlet_events"][CATALOGUE].extra = {"run_id": row["run_id"], **counts}
        return counts


class CompareSteps(RunContainer):
    """Lays the seconds of several runs side by side, by step."""

    def __init__(self, *, of_tasks: Sequence[str], **options: Any) -> None:
        super().__init__(service=LEDGER_SERVICE, **options)
        self.of_tasks = tuple(of_tasks)

    def result(self, printed: Printed, context: Context) -> list[Row]:
        """Return a row a step, with the seconds by staging, and print it as a table."""
        pulled = context["ti"].xcom_pull(task_ids=list(self.of_tasks))
        rows = [row_of(printed, summary["run_id"]) for summary in pulled]
        for row in rows:
            checked(row)
        compared = side_by_side(rows)
        for line in as_table(compared):
            self.log.info(line)
        return compared


def row_of(rows: Printed, run_id: str) -> Row:
    """Return a run's row; raises AirflowException while there is none."""
    for row in rows:
        if row["run_id"] == run_id:
            return row
    raise AirflowException(f"etl_runs has no row of run {run_id} yet ({len(rows)} rows)")


def checked(row: Row) -> dict[str, int]:
    """Return a run's counts by outcome.

    Raises AirflowFailException where read ≠ clean + duplicate + rejected.
    """
    counts = {name: int(row[f"pins_{name}"]) for name in ("read", "clean", "duplicate", "rejected")}
    if row["status"] not in {"done", "set_aside"}:
        raise AirflowFailException(f"run {row['run_id']} is recorded as {row['status']}, not as done")
    if counts["read"] != counts["clean"] + counts["duplicate"] + counts["rejected"]:
        raise AirflowFailException(f"run {row['run_id']} does not add up: {counts}")
    return counts


def side_by_side(rows: Sequence[Row]) -> list[Row]:
    """Return a row a step, the longest first, then the total: its name, and the seconds by staging."""
    seconds: dict[str, dict[str, float]] = {row["staging"]: row["seconds"] for row in rows}
    steps = {step for taken in seconds.values() for step in taken}
    longest_first = sorted(steps, key=lambda step: -max(taken.get(step, 0.0) for taken in seconds.values()))
    compared: list[Row] = [
        {"step": step, **{staging: taken.get(step, 0.0) for staging, taken in seconds.items()}}
        for step in longest_first
    ]
    total = {staging: round(sum(taken.values()), 3) for staging, taken in seconds.items()}
    return [*compared, {"step": "total", **total}]


def as_table(compared: Sequence[Row]) -> list[str]:
    """Return a comparison as lines of text."""
    return [
        "".join(f"{name:>12}" for name in compared[0]),
        *("".join(f"{value:>12}" for value in row.values()) for row in compared),
    ]
