"""What ends a run early decides its exit code."""

import pytest
from batch_etl.errors import DependencyAway, OutOfMemoryError, StageLost, Unbalanced
from batch_etl.exits import Exit
from batch_etl.outcome import Run
from batch_etl.stopping import Stopping
from batch_etl.verdict import blame, lacks_memory, told
from cassandra.cluster import NoHostAvailable
from py4j.protocol import Py4JError, Py4JNetworkError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from redis.exceptions import ConnectionError as RedisConnectionError
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
        (OutOfMemoryError("an object"), Exit.OUT_OF_MEMORY),
        (Unbalanced("1 of 2"), Exit.FAILED),
        (KeyError("a bug"), Exit.FAILED),
    ],
)
def test_what_may_pass_is_tried_again_and_the_rest_is_looked_at(error: Exception, code: Exit) -> None:
    run = Run("none")
    blame(run, error, Stopping())
    assert (run.exit, run.status) == (code, "failed")
    assert run.error


class SilentError(Py4JError):  # type: ignore[misc]
    """What Java threw, told by a JVM that has died since."""

    def __str__(self) -> str:
        raise ConnectionRefusedError("[Errno 111] Connection refused")


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (MemoryError(), True),
        (PySparkException("Caused by: java.lang.OutOfMemoryError: Java heap space"), True),
        (PySparkException("Traceback …\npyarrow.lib.ArrowMemoryError: malloc of size 64 failed"), True),
        (
            PySparkException("org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)"),
            True,
        ),
        (SilentError(), True),
        (Py4JNetworkError("Answer from Java side is empty"), True),
        (ConnectionRefusedError("[Errno 111] Connection refused"), True),
        (PySparkException("cassandra.cluster.NoHostAvailable: … Connection refused"), False),
        (RedisConnectionError("Error 111 connecting. Connection refused."), False),
        (OutOfMemoryError("three objects"), False),
        (StoreUnavailable("timeout"), False),
    ],
)
def test_a_lack_of_memory_is_known_by_what_it_leaves(error: Exception, lacks: bool) -> None:
    assert lacks_memory(error) is lacks
    assert told(error)


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
