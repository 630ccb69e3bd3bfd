"""What is left to load."""

from datetime import date

from batch_etl.days import Days
from batch_etl.work import Work, archive_keys, work_of
from pin_schema.archive import FORMAT_1_OWNER, ObjectKey
from pin_schema.logs import FORMAT_1_LOG
from service_runtime.object_store import StoredObject
from service_runtime.testing.object_store import InMemoryObjectStore

LOG = "t1a2b3c4d"
HOUR = 500_000
DAY_BEFORE = HOUR - 24


def key(start: int, partition: int = 0, hour: int = HOUR, log: str = LOG) -> str:
    return str(ObjectKey(log, partition, start, hour))


def test_loaded_objects_are_no_work() -> None:
    work = work_of([key(0), key(10), key(0, partition=1)]).without({(LOG, 0, 0), (LOG, 1, 7)})
    assert set(work.objects) == {key(10), key(0, partition=1)}


def test_the_same_offset_of_another_log_is_another_object() -> None:
    keys = [key(0), key(0, log="t99999999"), key(0, log=FORMAT_1_LOG)]
    assert set(work_of(keys).without({(LOG, 0, 0)}).objects) == set(keys[1:])


def test_who_owns_format_1_is_no_object_and_not_set_aside() -> None:
    assert work_of([FORMAT_1_OWNER]) == Work()


def test_a_key_that_is_no_object_is_set_aside_by_name() -> None:
    work = work_of([key(0), "raw/pins/notes.txt"])
    assert set(work.objects) == {key(0)}
    assert set(work.set_aside) == {"raw/pins/notes.txt"}


def test_a_date_no_calendar_has_is_set_aside() -> None:
    odd = "raw/pins/dt=2026-02-30/hr=00/p=00/00000000000000000000.ndjson.zst"
    assert set(work_of([odd]).set_aside) == {odd}


def test_work_is_told_by_day() -> None:
    work = work_of([key(0), key(1), key(2, hour=DAY_BEFORE)])
    assert list(work.by_day().values()) == [1, 2]
    assert work.partitions == {(LOG, 0)}


async def test_only_the_days_asked_for_are_listed() -> None:
    store = InMemoryObjectStore()
    keys = [
        key(0),
        key(0, log=FORMAT_1_LOG),
        key(1, hour=DAY_BEFORE),
        key(2, hour=DAY_BEFORE, log=FORMAT_1_LOG),
    ]
    store.objects = {text: StoredObject(b"", {}) for text in keys}
    assert await archive_keys(store, Days()) == sorted(store.objects)
    (day,) = work_of([key(0)]).by_day()
    assert await archive_keys(store, Days.of(date.fromisoformat(day), None)) == [
        key(0, log=FORMAT_1_LOG),
        key(0),
    ]


def test_slices_hold_every_object_once_in_order() -> None:
    work = work_of(str(ObjectKey(LOG, 0, start, 500_000)) for start in range(5))
    parts = [list(part.objects) for part in work.slices(2)]
    assert list(map(len, parts)) == [2, 2, 1]
    assert [key for part in parts for key in part] == list(work.objects)
