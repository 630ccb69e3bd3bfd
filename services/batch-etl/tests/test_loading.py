"""What a run does when a slice does not fit: halves, names, and a way around a small Redis."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from batch_etl import loading
from batch_etl.accounting import Account, ObjectAccount
from batch_etl.errors import OutOfMemoryError, RedisTooSmall, StageLost
from batch_etl.exits import Exit
from batch_etl.loading import SLICE_BYTES, Loading, halves, slices
from batch_etl.outcome import Run
from batch_etl.settings import BatchSettings
from batch_etl.staging import SparkStaging, Staging
from batch_etl.steps import Notes, Steps
from batch_etl.stopping import Stopping
from batch_etl.work import Work
from pin_schema.archive import ObjectKey
from pin_schema.archive_stream import VerifiedObject
from pyspark.errors import PySparkException

pytestmark = pytest.mark.must(22, 23)

KEYS = [str(ObjectKey("t1a2b3c4d", 0, n, 500_000)) for n in range(8)]
HEAP = PySparkException(
    "org.apache.spark.SparkException: Job aborted … java.lang.OutOfMemoryError: Java heap space"
)
Load = Callable[..., Account]


class Silent:
    """A display of nothing."""

    def began(self, step: str) -> None:
        """Show nothing."""

    def ended(self, step: str, seconds: float, notes: Notes) -> None:
        """Show nothing."""


class Ledger:
    """Notes what is recorded."""

    def __init__(self) -> None:
        self.objects: list[str] = []
        self.ended = ""

    def started(self, run: Run) -> None:
        """Note nothing."""

    def finished(self, run: Run) -> None:
        """Note how it ended."""
        self.ended = run.status

    def failed(self, run: Run) -> None:
        """Note how it ended."""
        self.ended = run.status

    def record(self, _: object, account: Account, work: Work) -> None:
        """Note the objects."""
        assert account.objects.keys() <= work.objects.keys()
        self.objects += account.objects


class World:
    """A run whose loading is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, load: Load, staging: str = "none") -> None:
        self.ledger, self.run, self.sparks = Ledger(), Run(staging), 0
        self._work = Work({key: ObjectKey.parse(key) for key in KEYS})

        @contextmanager
        def open_spark(_: BatchSettings) -> Iterator[Any]:
            self.sparks += 1
            yield object()

        def verify(keys: list[str], *_: object) -> tuple[dict[str, VerifiedObject], dict[str, str]]:
            return {key: VerifiedObject(1, 1, 10, "") for key in keys}, {}

        monkeypatch.setattr(loading, "load", load)
        monkeypatch.setattr(loading, "verify_objects", verify)
        stopping = Stopping()
        self._loading = Loading(BatchSettings(), Steps(Silent(), stopping, {}), stopping, open_spark)

    def execute(self) -> Run:
        self._loading.run(self.run, self._work, self.ledger)  # type: ignore[arg-type]
        return self.run


def account(objects: Mapping[str, VerifiedObject]) -> Account:
    return Account({key: ObjectAccount(held, 1, 0, {}) for key, held in objects.items()})


def test_a_slice_that_does_not_fit_is_halved_until_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = list[int]()

    def load(objects: Mapping[str, VerifiedObject], *_: object) -> Account:
        sizes.append(len(objects))
        if len(objects) > 2:
            raise HEAP
        return account(objects)

    world = World(monkeypatch, load)
    run = world.execute()
    assert (run.exit, world.ledger.ended) == (Exit.DONE, "done")
    assert world.ledger.objects == KEYS
    assert sizes == [8, 4, 2, 2, 4, 2, 2]
    assert world.sparks == 4, "after each lack of memory Spark is another one"


def test_an_object_that_does_not_fit_alone_is_set_aside_by_name_and_the_rest_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(objects: Mapping[str, VerifiedObject], *_: object) -> Account:
        if KEYS[5] in objects:
            raise HEAP
        return account(objects)

    world = World(monkeypatch, load)
    run = world.execute()
    assert run.exit is Exit.OUT_OF_MEMORY
    assert world.ledger.objects == [key for key in KEYS if key != KEYS[5]]
    assert run.set_aside.keys() == {KEYS[5]}
    assert "the memory does not suffice" in run.set_aside[KEYS[5]]
    assert "OutOfMemoryError" in (run.error or "")


def test_a_memory_that_nothing_fits_ends_the_run_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> Account:
        raise HEAP

    world = World(monkeypatch, load)
    with pytest.raises(OutOfMemoryError, match="the memory does not suffice"):
        world.execute()
    assert (world.run.exit, world.ledger.ended) == (Exit.OUT_OF_MEMORY, "failed")
    assert list(world.run.set_aside) == KEYS[:3]


def test_another_failure_is_not_tried_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> Account:
        raise PySparkException("redis.exceptions.ConnectionError: Error 111. Connection refused.")

    world = World(monkeypatch, load)
    with pytest.raises(PySparkException):
        world.execute()
    assert (world.run.exit, world.sparks) == (Exit.RETRY, 1)


class FakeRedisStaging(SparkStaging):
    """A stage in a Redis that was never asked."""


@pytest.mark.parametrize(("lost", "attempts"), [(RedisTooSmall("full"), 1), (StageLost("flushed"), 3)])
def test_what_redis_does_not_keep_is_staged_in_spark(
    monkeypatch: pytest.MonkeyPatch, lost: StageLost, attempts: int
) -> None:
    stagings = list[type]()

    def load(objects: Mapping[str, VerifiedObject], _: object, staging: Staging, *__: object) -> Account:
        stagings.append(type(staging))
        if type(staging) is FakeRedisStaging:
            raise lost
        return account(objects)

    monkeypatch.setattr(loading, "RedisStaging", lambda _: FakeRedisStaging())
    world = World(monkeypatch, load, "redis")
    run = world.execute()
    assert (run.exit, run.staging, run.stages_lost) == (Exit.DONE, "redis, then none", attempts)
    assert stagings == [FakeRedisStaging] * attempts + [SparkStaging]
    assert world.ledger.objects == KEYS


def test_slices_are_bounded_in_bytes() -> None:
    sizes = [SLICE_BYTES // 2] * 3 + [SLICE_BYTES * 4, 1, 1]
    objects = {str(n): VerifiedObject(n, 1, size, "") for n, size in enumerate(sizes)}
    assert [list(part) for part in slices(objects)] == [["0", "1"], ["2"], ["3"], ["4", "5"]]


def test_halves_hold_all() -> None:
    assert [list(half) for half in halves(dict.fromkeys("abc", 1))] == [["a"], ["b", "c"]]
