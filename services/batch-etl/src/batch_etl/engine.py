"""The run's Spark: started when it is needed, and started anew when it has died of its memory."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark import SparkContext
from pyspark.sql import SparkSession
from service_runtime.spark import spark_session

from batch_etl.settings import BatchSettings
from batch_etl.steps import Steps

# What Java hands to a Python worker at a time: by default 10,000 rows, and they may have 64 KiB each. Not
# every way heeds the bytes, so the rows are few as well.
CONFIG = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "500",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(4 * 1024 * 1024),
}

OpenSpark = Callable[[BatchSettings], AbstractContextManager[SparkSession]]


@contextmanager
def running_spark(settings: BatchSettings) -> Iterator[SparkSession]:
    """A Spark for this run alone."""
    spark = spark_session("batch-etl", settings, CONFIG, "batch_etl.spark_workers")
    try:
        yield spark
    finally:
        _stop(spark)


def _stop(spark: SparkSession) -> None:
    try:
        spark.stop()
    except (Py4JError, OSError):
        # Its JVM is dead. PySpark has no call for that: without this the next session asks the dead one.
        SparkContext._active_spark_context = None
        SparkContext._gateway = SparkContext._jvm = None
        SparkSession._instantiatedSession = None


class Engine:
    """One Spark at a time; `cancel` may be called from another thread."""

    def __init__(self, settings: BatchSettings, steps: Steps, open_spark: OpenSpark) -> None:
        self._settings = settings
        self._steps = steps
        self._open_spark = open_spark
        self._stack = ExitStack()
        self._spark: SparkSession | None = None

    def spark(self) -> SparkSession:
        """The Spark that runs, started if none does."""
        if self._spark is None:
            with self._steps("spark"):
                self._spark = self._stack.enter_context(self._open_spark(self._settings))
        return self._spark

    def stop(self) -> None:
        """End it; the next `spark` starts another."""
        self._spark = None
        self._stack.close()

    def cancel(self) -> None:
        """End what Spark is doing now; a job that begins later has to be cancelled again."""
        # Once Spark is stopped there is nothing left to cancel, and it says so in these ways.
        with suppress(Py4JError, AttributeError, OSError):
            if (spark := self._spark) is not None:
                spark.sparkContext.cancelAllJobs()
