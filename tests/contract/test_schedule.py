"""The batch job's exit codes ↔ what its schedule makes of them."""

import re
from types import ModuleType

import pytest
from airflow_module import airflow_module
from batch_etl.exits import Exit
from native_stack.settings import REPOSITORY

pytestmark = pytest.mark.must(37)


@pytest.fixture(scope="module")
def exits() -> ModuleType:
    """The schedule's words for them."""
    return airflow_module("exits")


def test_every_exit_code_of_the_job_means_something_to_the_schedule(exits: ModuleType) -> None:
    told = {name: exits.meaning(code)[0].name for name, code in Exit.__members__.items()}
    assert told == {
        "DONE": "DONE",
        "NOTHING_TO_DO": "SKIPPED",
        "SET_ASIDE": "WARNED",
        "OUT_OF_MEMORY": "FAILED",
        "RETRY": "AGAIN",
        "INTERRUPTED": "AGAIN",
        "TERMINATED": "AGAIN",
        "FAILED": "FAILED",
    }


def test_the_schedule_knows_no_code_that_the_job_does_not_document(exits: ModuleType) -> None:
    page = (REPOSITORY / "services/batch-etl/README.md").read_text()
    table = page[page.index("## Exit codes") : page.index("## Settings")]
    documented = {
        int(code) for cell in re.findall(r"^\| ([\d, ]+) \|", table, re.M) for code in cell.split(", ")
    }
    # That one is the engine's: nothing of the job runs any more to end it otherwise.
    assert set(exits.MEANINGS) - {137} == documented - {1}
