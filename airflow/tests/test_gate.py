"""What opens the other DAGs: the first good run of pins_runtime, and the end of any that is under way."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Context
from pinflow_airflow.gate import RuntimeIsUp
from pinflow_airflow.runtime import RUNTIME


def is_open(*runs: str) -> bool:
    """Whether the gate is open after runs of pins_runtime that ended, or go on, in these states."""

    def count(dag_id: str, *, states: list[str]) -> int:
        assert dag_id == RUNTIME
        return sum(run in states for run in runs)

    context = cast(Context, {"ti": SimpleNamespace(get_dr_count=count)})
    return RuntimeIsUp().poke(context)


@pytest.mark.parametrize("runs", [(), ("failed",), ("queued",), ("running",), ("success", "running")])
def test_nothing_begins_before_there_is_a_runtime_nor_while_it_is_brought_up(runs: tuple[str, ...]) -> None:
    assert not is_open(*runs)


@pytest.mark.parametrize("runs", [("success",), ("failed", "success"), ("success", "failed")])
def test_a_runtime_that_was_up_once_keeps_it_open(runs: tuple[str, ...]) -> None:
    assert is_open(*runs)


def test_who_waits_takes_no_worker() -> None:
    gate: Any = RuntimeIsUp()
    assert gate.mode == "reschedule"
