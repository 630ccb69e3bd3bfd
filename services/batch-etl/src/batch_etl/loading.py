"""The work done with Spark, in a thread of its own: slices that fit, each recorded when it is done."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import structlog
from pin_schema.archive_stream import VerifiedObject
from redis.exceptions import RedisError
from service_runtime.cassandra import NOT_NOW

from batch_etl.accounting import Account
from batch_etl.cutting import cut
from batch_etl.engine import Engine, OpenSpark
from batch_etl.errors import OutOfMemoryError, RedisTooSmall, StageLost
from batch_etl.exits import Exit
from batch_etl.ledger import Ledger
from batch_etl.load import load, verify_objects
from batch_etl.outcome import Run
from batch_etl.redis_buckets import Stage, StageKeys
from batch_etl.redis_staging import RedisStaging
from batch_etl.settings import BatchSettings
from batch_etl.staging import SparkStaging, Staging
from batch_etl.steps import Steps
from batch_etl.stopping import Stopping
from batch_etl.verdict import blame, lacks_memory, told
from batch_etl.work import Work

log = structlog.get_logger(__name__)

ATTEMPTS = 3
# Verified together.
PART_OBJECTS = 2_000
# Loaded and recorded together: bounds what Spark or Redis holds, and what a run that is killed has lost.
SLICE_BYTES = 256 * 1024 * 1024
# Objects that do not fit the memory even alone; after so many it is the memory that is too small.
MOST_TOO_LARGE = 3

T = TypeVar("T")


class Loading:
    """Loads all slices; `cancel` may be called from another thread."""

    def __init__(
        self, settings: BatchSettings, steps: Steps, stopping: Stopping, open_spark: OpenSpark
    ) -> None:
        self._settings = settings
        self._steps = steps
        self._stopping = stopping
        self._engine = Engine(settings, steps, open_spark)
        self.cancel = self._engine.cancel

    def run(self, run: Run, work: Work, ledger: Ledger) -> None:
        """Load the work and record it; what fails is recorded too, and raised."""
        ledger.started(run)
        try:
            self._load_all(run, work, ledger)
        except Exception as error:
            blame(run, error, self._stopping)
            try:
                ledger.failed(run)
            except NOT_NOW as away:
                log.warning("etl_runs does not say how the run ended: Cassandra is away", why=str(away))
            raise
        finally:
            self._engine.stop()

    def _load_all(self, run: Run, work: Work, ledger: Ledger) -> None:
        def verify(keys: Mapping[str, object]) -> None:
            held, aside = verify_objects(list(keys), self._engine.spark(), self._steps, self._settings)
            run.set_aside |= aside
            for part in slices(held):
                self._halved(run, part, load_and_record)

        def load_and_record(objects: Mapping[str, VerifiedObject]) -> None:
            self._record(run, work, self._until_complete(run, objects), ledger)

        for part in work.slices(PART_OBJECTS):
            self._halved(run, part.objects, verify)
        run.exit = Exit.SET_ASIDE if run.set_aside else Exit.DONE
        if run.too_large:
            run.exit, run.error = Exit.OUT_OF_MEMORY, next(iter(run.too_large.values()))
        ledger.finished(run)

    def _halved(self, run: Run, objects: Mapping[str, T], do: Callable[[Mapping[str, T]], None]) -> None:
        """Do it with all objects, or, when the memory does not suffice, with each half."""
        try:
            do(objects)
        except Exception as error:
            if self._stopping.exit is not None or not lacks_memory(error):
                raise
            # Whatever died has left the rest of Spark in a state that nobody knows.
            self._engine.stop()
            if len(objects) == 1:
                self._too_large(run, next(iter(objects)), error)
                return
            log.warning("the memory did not suffice: halved", objects=len(objects), why=told(error))
        else:
            return
        for half in halves(objects):
            self._halved(run, half, do)

    def _too_large(self, run: Run, key: str, error: Exception) -> None:
        run.too_large[key] = f"the memory does not suffice even for this object alone: {told(error)}"
        run.set_aside[key] = run.too_large[key]
        if len(run.too_large) == MOST_TOO_LARGE:
            raise OutOfMemoryError(f"{key}: {run.too_large[key]}") from error

    def _record(self, run: Run, work: Work, account: Account, ledger: Ledger) -> None:
        with self._steps("ledger") as notes:
            ledger.record(run.run_id, account, work)
            notes["objects"] = len(account.objects)
        run.account = run.account.plus(account)

    def _until_complete(self, run: Run, objects: Mapping[str, VerifiedObject]) -> Account:
        while True:
            try:
                with self._staging(run) as staging:
                    return load(objects, self._engine.spark(), staging, self._steps, self._settings)
            except StageLost as lost:
                run.stages_lost += 1
                log.warning("a stage was lost: starting again from the archive", why=str(lost))
                if isinstance(lost, RedisTooSmall) or run.stages_lost == ATTEMPTS:
                    run.staging = "redis, then none"
                    log.warning("staged in Spark from here on: give Redis more memory", why=str(lost))

    @contextmanager
    def _staging(self, run: Run) -> Iterator[Staging]:
        staging = self._opened(run)
        try:
            yield staging
        except StageLost:
            raise
        except Exception as error:
            # Spark wraps what its workers raise: only the stage itself can tell whether it was the reason.
            if self._stopping.exit is None:
                staging.check(error)
            raise
        finally:
            _discard(staging)

    def _opened(self, run: Run) -> Staging:
        if run.staging != "redis":
            return SparkStaging()
        prefix = f"pinflow:staging:{run.run_id}:{uuid.uuid4()}"
        settings = self._settings
        stage = Stage(
            settings.redis_url, StageKeys(prefix), settings.redis_ttl_seconds, settings.wait_seconds
        )
        return RedisStaging(stage)


def slices(objects: Mapping[str, VerifiedObject]) -> Iterator[dict[str, VerifiedObject]]:
    """The objects in order, in slices of at most SLICE_BYTES of lines, unless one object is more."""
    keys = list(objects)
    sizes = [held.line_bytes for held in objects.values()]
    for part in cut(sizes, PART_OBJECTS, SLICE_BYTES):
        yield {key: objects[key] for key in keys[part]}


def halves(objects: Mapping[str, T]) -> Iterator[dict[str, T]]:
    """The objects in two parts."""
    items = iter(objects.items())
    yield dict(islice(items, len(objects) // 2))
    yield dict(items)


def _discard(staging: Staging) -> None:
    try:
        staging.discard()
    except RedisError as error:
        log.warning("staged data is left to expire: Redis does not answer", why=str(error))
