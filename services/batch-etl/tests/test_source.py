"""Objects are verified and read, whole or not at all; whatever one does, the others go on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyarrow as pa
import pytest
from batch_etl import source
from batch_etl.errors import ObjectChanged
from batch_etl.source import (
    ARROW_RECORDS,
    BATCH_BYTES,
    TASK_BYTES,
    RecordReader,
    VerifyingReader,
    task_groups,
)
from pin_schema.archive_stream import VerifiedObject, verify
from pin_schema.archive_testing import object_of, records_from
from service_runtime.object_store import ObjectStore, StoredObject, StoreUnavailable
from service_runtime.testing.object_store import InMemoryObjectStore

AT = 1_790_000_000_000
PIN = b'{"index": 1, "unique_id": "00000000-0000-0000-0000-000000000001"}'


def stored(start: int, count: int, value: bytes = PIN) -> tuple[str, StoredObject]:
    key, body, said = object_of(records_from(start, [value] * count, AT, key=None))
    return key, StoredObject(body, said)


class World:
    """Readers of a store in memory."""

    def __init__(self, *objects: tuple[str, StoredObject]) -> None:
        self.store = InMemoryObjectStore()
        self.store.objects = dict(objects)
        self.keys = sorted(self.store.objects)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[ObjectStore]:
        yield self.store

    def verifying(self, wait_seconds: float = 5) -> VerifyingReader:
        return VerifyingReader([self.keys], self.opened, wait_seconds)

    def reading(self) -> RecordReader:
        objects = {key: verify(key, one.body, one.metadata) for key, one in self.store.objects.items()}
        return RecordReader([self.keys], self.opened, 5, objects)


def rows(batches: list[pa.RecordBatch]) -> list[dict[str, object]]:
    read: list[dict[str, object]] = pa.Table.from_batches(batches).to_pylist()
    return read


def test_an_object_is_verified_and_then_read() -> None:
    world = World(stored(10, 3))
    (own,) = rows(list(world.verifying().read(0)))
    assert (own["object"], own["end"], own["records"], own["set_aside"]) == (world.keys[0], 12, 3, None)
    records = rows(list(world.reading().read(0)))
    assert [record["source_offset"] for record in records] == [10, 11, 12]
    assert {record["object"] for record in records} == set(world.keys)


def test_a_task_reads_its_group() -> None:
    world = World(*(stored(start, 2) for start in range(0, 12, 2)))
    assert [row["source_offset"] for row in rows(list(world.reading().read(0)))] == list(range(12))


def test_what_is_wrong_with_one_object_is_its_own_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    (bad_key, bad), whole = stored(0, 3), stored(3, 3)
    world = World((bad_key, StoredObject(bad.body[:-1], bad.metadata)), whole)
    first, second = rows(list(world.verifying().read(0)))
    assert "sha256" in str(first["set_aside"])
    assert second["set_aside"] is None
    (gone,) = rows(world.verifying().rows("a key", None))
    assert "no longer there" in str(gone["set_aside"])

    def break_down(*_: object) -> VerifiedObject:
        raise RecursionError("whatever")

    monkeypatch.setattr(source, "verify", break_down)
    for row in rows(list(world.verifying().read(0))):
        assert row["set_aside"] == "RecursionError('whatever')"


def test_a_lack_of_memory_is_no_fault_of_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    def lack(*_: object) -> VerifiedObject:
        raise MemoryError

    monkeypatch.setattr(source, "verify", lack)
    with pytest.raises(MemoryError):
        World().verifying().rows(*stored(0, 1))


@pytest.mark.parametrize("change", ["gone", "another"])
def test_an_object_that_changes_after_it_was_verified_is_not_loaded(change: str) -> None:
    world = World(stored(0, 3))
    reader = world.reading()
    if change == "gone":
        world.store.objects.clear()
    else:
        world.store.objects = dict([stored(0, 4)])
    with pytest.raises(ObjectChanged):
        list(reader.read(0))


def test_a_batch_is_bounded_in_bytes_whatever_the_size_of_a_record() -> None:
    large = PIN[:-1] + b',"title":"' + b"x" * 15_000 + b'"}'
    world = World(stored(0, 500, large))
    batches = list(world.reading().read(0))
    assert len(batches) > 5
    assert max(batch.nbytes for batch in batches) < 3 * BATCH_BYTES
    assert batches[0].schema == ARROW_RECORDS


MIB = 2**20


@pytest.mark.parametrize(
    ("sizes", "cores", "tasks"),
    [
        ([MIB], 4, 1),
        ([MIB] * 8, 4, 4),
        ([16 * MIB] * 48, 2, 24),
        ([900 * MIB, MIB, MIB], 2, 2),
        ([100] * 1_000, 2, 63),
        ([], 4, 0),
    ],
)
def test_a_task_is_bounded_in_bytes_and_in_objects(sizes: list[int], cores: int, tasks: int) -> None:
    objects = {f"{n:04}": VerifiedObject(n, 1, size, "") for n, size in enumerate(sizes)}
    groups = task_groups(objects, cores)
    assert len(groups) == tasks
    assert [key for group in groups for key in group] == list(objects)
    for group in groups:
        assert len(group) == 1 or sum(objects[key].line_bytes for key in group) <= TASK_BYTES


def test_a_store_that_stays_away_fails_the_task_and_names_itself() -> None:
    world = World(stored(0, 2))
    world.store.away = True
    with pytest.raises(StoreUnavailable, match=r"gave nothing for 0\.1 s: the object store is away"):
        list(world.verifying(wait_seconds=0.1).read(0))
