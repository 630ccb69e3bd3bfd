"""What an error means for whoever started the run."""

import re

from py4j.protocol import Py4JError, Py4JNetworkError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from redis.exceptions import RedisError
from service_runtime.cassandra import NOT_NOW
from service_runtime.object_store import StoreUnavailable

from batch_etl.errors import OutOfMemoryError, Retryable
from batch_etl.exits import Exit
from batch_etl.outcome import Run
from batch_etl.stopping import Stopping

_JVM_STACK = re.compile(r"\n\s+at |\nDriver stacktrace|\nJVM stacktrace")
# Java's heap, Python's and Arrow's allocations; who was killed by the kernel is only said to be gone.
_NO_MEMORY = re.compile(
    r"OutOfMemoryError|MemoryError|malloc of size \d+ failed|worker exited unexpectedly|ExecutorLostFailure|"
    r"SparkContext was shut down"
)
PASSING = (Retryable, StoreUnavailable, RedisError, PySparkException, Py4JError, *NOT_NOW)


def blame(run: Run, error: BaseException, stopping: Stopping) -> None:
    """Note how the run ended: as asked, by what may pass, or by what somebody has to look at."""
    code = Exit.RETRY if isinstance(error, PASSING) else Exit.FAILED
    run.exit = stopping.exit or (Exit.OUT_OF_MEMORY if isinstance(error, OutOfMemoryError) else code)
    run.error = f"stopped by {run.exit.name}" if stopping.exit else told(error)


def lacks_memory(error: BaseException) -> bool:
    """Whether Spark, one of its workers or this process died, or all but died, for lack of memory."""
    # Java ends when its heap is full: then nobody answers where PySpark asks.
    if isinstance(error, (MemoryError, Py4JNetworkError, ConnectionError)):
        return True
    return isinstance(error, (PySparkException, Py4JError)) and bool(_NO_MEMORY.search(_text(error)))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except (Py4JError, OSError) as silent:
        # Java's own words are asked for only now, of a JVM that may be dead.
        return f"SparkContext was shut down: {silent}"


def told(error: BaseException) -> str:
    """The error in a line; of a traceback from a Spark worker, its last line."""
    python, *_ = _JVM_STACK.split(_text(error), maxsplit=1)
    lines = [line.strip() for line in python.splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]
