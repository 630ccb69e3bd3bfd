"""What a range of offsets holds, in the topic and in the archive: the figures that must agree."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord
from pin_schema.archive import PREFIX, ArchivedRecord, ObjectKey, decode_object
from service_runtime.object_store import ObjectStore

# Objects are fetched side by side, few enough to keep memory flat.
FETCHES = 8
POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Offsets of every partition, from `start` up to but not including `end`."""

    start: Mapping[int, int]
    end: Mapping[int, int]

    def __contains__(self, position: tuple[int, int]) -> bool:
        partition, offset = position
        return self.start.get(partition, 0) <= offset < self.end.get(partition, 0)

    @property
    def count(self) -> int:
        """How many offsets there are."""
        return sum(end - self.start.get(partition, 0) for partition, end in self.end.items())


async def log_ends(bootstrap_servers: str, topic: str) -> dict[int, int]:
    """Return the offset after the last record of every partition."""
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap_servers) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
    return {partition.partition: int(end) for partition, end in ends.items()}


async def read_topic(bootstrap_servers: str, topic: str, span: OffsetRange) -> list[ConsumerRecord]:
    """Return the records of the range, whatever the groups have committed."""
    records: list[ConsumerRecord] = []
    left = {TopicPartition(topic, p) for p, end in span.end.items() if end > span.start.get(p, 0)}
    if not left:
        return records
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap_servers) as consumer:
        consumer.assign(left)
        for partition in left:
            consumer.seek(partition, span.start.get(partition.partition, 0))
        while left:
            for polled in (await consumer.getmany(timeout_ms=500)).values():
                records.extend(record for record in polled if (record.partition, record.offset) in span)
            done = {tp for tp in left if await consumer.position(tp) >= span.end[tp.partition]}
            consumer.pause(*done)
            left -= done
    return records


async def read_archive(store: ObjectStore, span: OffsetRange) -> list[ArchivedRecord]:
    """Return the archived records of the range, each object verified; raises CorruptObject."""
    keys = holding(await store.list_keys(PREFIX), span)
    gate = asyncio.Semaphore(FETCHES)

    async def read(key: str) -> list[ArchivedRecord]:
        async with gate:
            found = await store.get(key)
        if found is None:
            return []
        records = await asyncio.to_thread(decode_object, key, found.body, found.metadata)
        return [record for record in records if (record.partition, record.offset) in span]

    return [record for records in await asyncio.gather(*map(read, keys)) for record in records]


async def archived_within(store: ObjectStore, span: OffsetRange, seconds: float) -> list[ArchivedRecord]:
    """Wait until the range is archived, and return what is there, or what is there when time is up."""
    clock = asyncio.get_running_loop().time
    give_up = clock() + seconds
    while True:
        records = await read_archive(store, span)
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
