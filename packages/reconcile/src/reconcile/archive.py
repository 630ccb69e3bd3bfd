"""What the archive holds, each object verified."""

import asyncio
from collections import defaultdict

from pin_schema.archive import ArchivedRecord, ObjectKey, log_prefix
from pin_schema.archive_stream import decode_object
from service_runtime.object_store import ObjectStore

from reconcile.offsets import OffsetRange

# Objects are fetched side by side, few enough to keep memory flat.
FETCHES = 8
POLL_SECONDS = 0.3


async def read_archive(store: ObjectStore, log: str, span: OffsetRange) -> list[ArchivedRecord]:
    """Return the archived records of a log's range, each object verified; raises CorruptObject."""
    keys = holding(await store.list_keys(log_prefix(log)), span)
    gate = asyncio.Semaphore(FETCHES)

    async def read(key: str) -> list[ArchivedRecord]:
        async with gate:
            found = await store.get(key)
        if found is None:
            return []
        records = await asyncio.to_thread(decode_object, key, found.body, found.metadata)
        return [record for record in records if (record.partition, record.offset) in span]

    return [record for records in await asyncio.gather(*map(read, keys)) for record in records]


async def archived_within(
    store: ObjectStore, log: str, span: OffsetRange, seconds: float
) -> list[ArchivedRecord]:
    """Wait until the range is archived, and return what is there, or what is there when time is up."""
    clock = asyncio.get_running_loop().time
    give_up = clock() + seconds
    while True:
        records = await read_archive(store, log, span)
        if len(records) >= span.count or clock() > give_up:
            return records
        await asyncio.sleep(POLL_SECONDS)


def holding(keys: list[str], span: OffsetRange) -> list[str]:
    """Return the keys of objects that may hold records of the range: where one ends, its key does not say."""
    places = {key: ObjectKey.parse(key) for key in keys}
    starts: defaultdict[int, list[int]] = defaultdict(list)
    for place in places.values():
        starts[place.partition].append(place.start)
    # The last object that begins at or before the range, and all that begin inside it.
    first = {
        partition: max((start for start in found if start <= span.start.get(partition, 0)), default=0)
        for partition, found in starts.items()
    }
    return [
        key
        for key, place in places.items()
        if first[place.partition] <= place.start < span.end.get(place.partition, 0)
    ]
