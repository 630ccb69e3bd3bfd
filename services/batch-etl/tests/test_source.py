"""Objects become rows, whole or not at all."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyarrow as pa
import pytest
import zstandard
from batch_etl.source import ARROW_LOADED, ArchiveReader, KeyGroup, grouped, rows_of
from pin_schema.archive import ObjectKey, ObjectMetadata, encode_line, hour_of
from service_runtime.object_store import ObjectStore, StoredObject, StoreUnavailable
from service_runtime.testing.object_store import InMemoryObjectStore

AT = 1_790_000_000_000
PIN = b'{"index": 1, "unique_id": "00000000-0000-0000-0000-000000000001"}'


def stored(start: int, count: int) -> tuple[str, StoredObject]:
    lines = b"".join(encode_line(0, start + n, AT + n, None, PIN, plain=True) for n in range(count))
    body = zstandard.ZstdCompressor().compress(lines)
    sha256 = hashlib.sha256(body).hexdigest()
    said = ObjectMetadata(start, start + count - 1, count, AT, AT + count - 1, sha256)
    return str(ObjectKey(0, start, hour_of(AT))), StoredObject(body, said.to_dict())


def rows(batches: list[pa.RecordBatch]) -> list[dict[str, object]]:
    table: list[dict[str, object]] = pa.Table.from_batches(batches, ARROW_LOADED).to_pylist()
    return table


def test_an_object_is_its_records_and_then_its_own_row() -> None:
    key, whole = stored(10, 3)
    *records, own = rows(rows_of(key, whole))
    assert [record["source_offset"] for record in records] == [10, 11, 12]
    assert {record["object"] for record in records} == {key}
    assert {record["object_records"] for record in records} == {None}
    assert (own["object_end"], own["object_records"], own["set_aside"]) == (12, 3, None)
    assert own["source_offset"] is None


def test_a_damaged_object_yields_no_record() -> None:
    key, whole = stored(0, 3)
    (own,) = rows(rows_of(key, StoredObject(whole.body[:-1], whole.metadata)))
    assert (own["object"], own["object_records"]) == (key, None)
    assert "sha256" in str(own["set_aside"])


def test_an_object_that_is_gone_is_set_aside() -> None:
    (own,) = rows(rows_of("a key", None))
    assert "no longer there" in str(own["set_aside"])


def test_an_object_behind_another_key_is_set_aside() -> None:
    _, whole = stored(0, 3)
    (own,) = rows(rows_of(stored(1, 1)[0], whole))
    assert own["set_aside"]


@pytest.mark.parametrize(("objects", "cores", "tasks"), [(1, 4, 1), (10, 4, 4), (1_000, 4, 63), (0, 4, 0)])
def test_groups_hold_every_key_once_and_are_balanced(objects: int, cores: int, tasks: int) -> None:
    groups = grouped([str(n) for n in range(objects)], cores)
    assert len(groups) == tasks
    assert sorted(key for group in groups for key in group) == sorted(str(n) for n in range(objects))
    assert not groups or max(map(len, groups)) - min(map(len, groups)) <= 1


def reader(store: InMemoryObjectStore, wait_seconds: float = 5) -> ArchiveReader:
    @asynccontextmanager
    async def opened() -> AsyncIterator[ObjectStore]:
        yield store

    return ArchiveReader([sorted(store.objects)], opened, wait_seconds)


def test_a_task_reads_its_group() -> None:
    store = InMemoryObjectStore()
    store.objects = dict(stored(start, 2) for start in range(0, 12, 2))
    (group,) = reader(store).partitions()
    read = rows(list(reader(store).read(group)))
    assert [row["source_offset"] for row in read if row["source_offset"] is not None] == list(range(12))


def test_a_store_that_stays_away_fails_the_task_and_names_itself() -> None:
    store = InMemoryObjectStore()
    store.objects = dict([stored(0, 2)])
    store.away = True
    with pytest.raises(StoreUnavailable, match=r"gave nothing for 0\.1 s: the object store is away"):
        list(reader(store, wait_seconds=0.1).read(KeyGroup(sorted(store.objects))))
