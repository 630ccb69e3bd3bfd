"""The work done with Spark, in a thread of its own: attempts until every stage holds, then the ledger."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

import structlog
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.sql import SparkSession
from redis.exceptions import RedisError
from service_runtime.cassandra import NOT_NOW
from service_runtime.spark import spark_session

from batch_etl.errors import StageLost
from batch_etl.exits import Exit
from batch_etl.ledger import Ledger
from batch_etl.load import Loaded, load
from batch_etl.outcome import Run
from batch_etl.redis_buckets import Stage, StageKeys
from batch_etl.redis_staging import RedisStaging
from batch_etl.settings import BatchSettings
from batch_etl.staging import SparkStaging, Staging
from batch_etl.steps import Steps
from batch_etl.stopping import Stopping
from batch_etl.verdict import blame
from batch_etl.work import Work

log = structlog.get_logger(__name__)

ATTEMPTS = 3
# Loaded and recorded together: bounds what Spark or Redis holds, and what a run that is killed has lost.
SLICE_OBJECTS = 2_000

OpenSpark = Callable[[BatchSettings], AbstractContextManager[SparkSession]]


@contextmanager
def running_spark(settings: BatchSettings) -> Iterator[SparkSession]:
    """A Spark for this run alone."""
    spark = spark_session("batch-etl", settings, {})
    try:
        yield spark
    finally:
        spark.stop()


class Loading:
    """Runs the attempts; `cancel` may be called from another thread."""

    def __init__(
        self, settings: BatchSettings, steps: Steps, stopping: Stopping, open_spark: OpenSpark
    ) -> None:
        self._settings = settings
        self._steps = steps
        self._stopping = stopping
        self._open_spark = open_spark
        self._spark: SparkSession | None = None

    def cancel(self) -> None:
        """End what Spark is doing now; a job that begins later has to be cancelled again."""
        # Once Spark is stopped there is nothing left to cancel, and it says so in these two ways.
        with suppress(Py4JError, AttributeError):
            if self._spark is not None:
                self._spark.sparkContext.cancelAllJobs()

    def run(self, run: Run, work: Work, ledger: Ledger) -> None:
        """Load the work and record it; what fails is recorded too, and raised."""
        ledger.started(run)
        try:
            self._load_and_record(run, work, ledger)
        except Exception as error:
            blame(run, error, self._stopping)
            try:
                ledger.failed(run)
            except NOT_NOW as away:
                log.warning("the run stays `running` in etl_runs: Cassandra does not answer", why=str(away))
            raise

    def _load_and_record(self, run: Run, work: Work, ledger: Ledger) -> None:
        if work.objects:
            with ExitStack() as stack:
                with self._steps("spark"):
                    self._spark = stack.enter_context(self._open_spark(self._settings))
                for part in work.slices(SLICE_OBJECTS):
                    self._record(run, part, self._until_whole(run, part, self._spark), ledger)
        run.exit = Exit.SET_ASIDE if run.set_aside else Exit.DONE
        ledger.finished(run)

    def _record(self, run: Run, part: Work, loaded: Loaded, ledger: Ledger) -> None:
        with self._steps("ledger") as notes:
            ledger.record(run.run_id, loaded.account, part)
            notes["objects"] = len(loaded.account.objects)
        run.account = run.account.plus(loaded.account)
        run.set_aside |= loaded.set_aside

    def _until_whole(self, run: Run, work: Work, spark: SparkSession) -> Loaded:
        for _ in range(ATTEMPTS):
            try:
                with self._staging(run) as staging:
                    return load(list(work.objects), spark, staging, self._steps, self._settings)
            except StageLost as lost:
                run.stages_lost += 1
                log.warning("a stage was lost: starting again from the archive", why=str(lost))
        raise StageLost(f"a stage was lost {ATTEMPTS} times: give Redis more memory, or stage in Spark")

    @contextmanager
    def _staging(self, run: Run) -> Iterator[Staging]:
        staging = self._opened(run)
        try:
            yield staging
        except StageLost:
            raise
        except Exception:
            # Spark wraps what its workers raise: only the stage itself can tell whether it was the reason.
            if self._stopping.exit is None:
                staging.check()
            raise
        finally:
            _discard(staging)

    def _opened(self, run: Run) -> Staging:
        if run.staging == "none":
            return SparkStaging()
        prefix = f"pinflow:staging:{run.run_id}:{uuid.uuid4()}"
        settings = self._settings
        stage = Stage(
            settings.redis_url, StageKeys(prefix), settings.redis_ttl_seconds, settings.wait_seconds
        )
        return RedisStaging(stage)


def _discard(staging: Staging) -> None:
    try:
        staging.discard()
    except RedisError as error:
        log.warning("staged data is left to expire: Redis does not answer", why=str(error))
