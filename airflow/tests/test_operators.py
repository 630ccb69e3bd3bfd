"""The end of a job's container ↔ the end of its task."""

from collections.abc import Iterator

import pytest
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from pinflow_airflow import operators
from pinflow_airflow.engine import Line
from pinflow_airflow.operators import RunContainer

pytestmark = pytest.mark.must(37)

CONTEXT = Context()


class Log:
    """An engine that has only the log of a job."""

    @classmethod
    def told(cls) -> "Log":
        """Return it."""
        return cls()

    def log(self, service: str, since: str, *, stderr: bool) -> Iterator[Line]:
        """Give what it printed on stdout."""
        assert not stderr
        yield Line("2026", "Loading")
        yield Line("2026", '{"run_id": "a"}')


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> RunContainer:
    """A task of a job."""
    monkeypatch.setattr(operators, "Engine", Log)
    return RunContainer(task_id="load", service="batch-etl")


def ended(job: RunContainer, code: int, out_of_memory: bool = False) -> object:
    """Let the job end."""
    return job.ended(CONTEXT, {"exit_code": code, "out_of_memory": out_of_memory}, "2026")


@pytest.mark.parametrize("code", [0, 11])
def test_a_job_that_is_done_returns_what_it_printed_last(job: RunContainer, code: int) -> None:
    assert ended(job, code) == {"run_id": "a"}


def test_nothing_to_do_is_skipped(job: RunContainer) -> None:
    with pytest.raises(AirflowSkipException, match="nothing to do"):
        ended(job, 10)


@pytest.mark.parametrize("code", [75, 130, 137, 143])
def test_what_may_end_better_is_tried_again(job: RunContainer, code: int) -> None:
    with pytest.raises(AirflowException) as caught:
        ended(job, code)
    assert type(caught.value) is AirflowException


@pytest.mark.parametrize("code", [1, 2, 78, 99])
def test_what_would_end_no_better_fails_at_once(job: RunContainer, code: int) -> None:
    with pytest.raises(AirflowFailException, match=f"batch-etl ended with {code}"):
        ended(job, code)


def test_a_job_killed_for_its_memory_says_so(job: RunContainer) -> None:
    with pytest.raises(AirflowException, match="mem_limit"):
        ended(job, 137, out_of_memory=True)
