"""What an error means for whoever started the run."""

import re

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from redis.exceptions import RedisError
from service_runtime.cassandra import NOT_NOW
from service_runtime.object_store import StoreUnavailable

from batch_etl.errors import Retryable, Unbalanced
from batch_etl.exits import Exit
from batch_etl.outcome import Run
from batch_etl.stopping import Stopping

_JVM_STACK = re.compile(r"\n\s+at |\nDriver stacktrace|\nJVM stacktrace")
PASSING = (Retryable, StoreUnavailable, RedisError, PySparkException, Py4JError, *NOT_NOW)


def blame(run: Run, error: BaseException, stopping: Stopping) -> None:
    """Note how the run ended: as asked, by what may pass, or by what somebody has to look at."""
    passes = isinstance(error, PASSING) and Unbalanced.__qualname__ not in told(error)
    run.exit = stopping.exit or (Exit.RETRY if passes else Exit.FAILED)
    run.error = f"stopped by {run.exit.name}" if stopping.exit else told(error)


def told(error: BaseException) -> str:
    """The error in a line; of a traceback from a Spark worker, its last line."""
    python, *_ = _JVM_STACK.split(str(error), maxsplit=1)
    lines = [line.strip() for line in python.splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]
