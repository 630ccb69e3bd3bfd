"""Runs of batch-etl by their rows in etl_runs."""

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from pinflow_airflow.accounting import as_table, checked, row_of, side_by_side


def row(**changed: Any) -> dict[str, Any]:
    """Return a row as the container etl-runs prints it."""
    counts = {"pins_read": 10, "pins_clean": 6, "pins_duplicate": 3, "pins_rejected": 1}
    return (
        {"run_id": "a", "status": "done", "staging": "none", "seconds": {"load": 2.0, "list": 0.5}}
        | counts
        | changed
    )


def test_a_run_that_adds_up_gives_its_counts() -> None:
    assert checked(row()) == {"read": 10, "clean": 6, "duplicate": 3, "rejected": 1}


@pytest.mark.parametrize("count", ["pins_read", "pins_clean", "pins_duplicate", "pins_rejected"])
def test_a_run_that_does_not_add_up_fails_for_good(count: str) -> None:
    with pytest.raises(AirflowFailException, match="does not add up"):
        checked(row(**{count: 2}))


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_run_that_is_not_recorded_as_done_fails(status: str) -> None:
    with pytest.raises(AirflowFailException, match=f"recorded as {status}"):
        checked(row(status=status))


def test_a_run_is_found_by_its_id_and_asked_for_again_when_it_is_not_there() -> None:
    assert row_of([row(), row(run_id="b")], "b")["run_id"] == "b"
    with pytest.raises(AirflowException, match="no row of run c") as caught:
        row_of([row()], "c")
    assert not isinstance(caught.value, AirflowFailException), "a second try may find it"


def test_two_runs_lie_side_by_side_the_longest_step_first() -> None:
    staged = row(staging="redis", seconds={"load": 1.0, "list": 0.5, "stage": 3.0})
    compared = side_by_side([row(), staged])
    assert compared == [
        {"step": "stage", "none": 0.0, "redis": 3.0},
        {"step": "load", "none": 2.0, "redis": 1.0},
        {"step": "list", "none": 0.5, "redis": 0.5},
        {"step": "total", "none": 2.5, "redis": 4.5},
    ]
    assert as_table(compared)[:2] == [
        f"{'step':>12}{'none':>12}{'redis':>12}",
        f"{'stage':>12}{0.0:>12}{3.0:>12}",
    ]
