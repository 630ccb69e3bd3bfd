"""What ends a run early decides its exit code."""

import pytest
from batch_etl.errors import DependencyAway, StageLost, Unbalanced
from batch_etl.exits import Exit
from batch_etl.outcome import Run
from batch_etl.stopping import Stopping
from batch_etl.verdict import blame, told
from cassandra.cluster import NoHostAvailable
from pyspark.errors import PySparkException
from service_runtime.object_store import StoreUnavailable

pytestmark = pytest.mark.must(23)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DependencyAway("s3 stayed away"), Exit.RETRY),
        (StageLost("flushed"), Exit.RETRY),
        (StoreUnavailable("timeout"), Exit.RETRY),
        (NoHostAvailable("none", {}), Exit.RETRY),
        (PySparkException("a task failed"), Exit.RETRY),
        (Unbalanced("1 of 2"), Exit.FAILED),
        (PySparkException("Traceback …\nbatch_etl.errors.Unbalanced: 1 of 2\n\n\tat java"), Exit.FAILED),
        (KeyError("a bug"), Exit.FAILED),
    ],
)
def test_what_may_pass_is_tried_again_and_the_rest_is_looked_at(error: Exception, code: Exit) -> None:
    run = Run("none")
    blame(run, error, Stopping())
    assert (run.exit, run.status) == (code, "failed")
    assert run.error


def test_of_a_worker_s_traceback_the_last_line_is_told() -> None:
    wrapped = (
        "An exception was thrown from the Python worker:\n"
        "Traceback (most recent call last):\n  File ...\nTimeoutError\n\n"
        "service_runtime.object_store.StoreUnavailable: the bucket gave no answer for 2 s\n\n"
        "\tat org.apache.spark.api.python\nnoise\n"
    )
    last = "service_runtime.object_store.StoreUnavailable: the bucket gave no answer for 2 s"
    assert told(PySparkException(wrapped)) == last
    assert told(PySparkException("no memory\nmore")) == "no memory"
    assert told(TimeoutError()) == "TimeoutError"


def test_a_stopped_run_says_who_stopped_it_whatever_broke_then() -> None:
    run, stopping = Run("none"), Stopping()
    stopping.ask(Exit.INTERRUPTED)
    blame(run, PySparkException("cancelled"), stopping)
    assert run.exit == 130
