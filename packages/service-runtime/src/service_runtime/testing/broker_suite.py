"""What every broker must do: subclass with a `lab` fixture, fake or real."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import pytest
from aiokafka import TopicPartition

from service_runtime.broker import BatchProducer, GroupConsumer, Record, UnknownTopic

HEADERS = [("schema", b"pin/1")]


class BrokerLab(Protocol):
    """A fresh topic of two partitions with log-append time, and clients for it."""

    topic: str

    def producer(self) -> BatchProducer:
        """Return a producer, not started."""

    def consumer(self, group: str) -> GroupConsumer:
        """Return a group member, not started."""


@dataclass
class Owned:
    """Remembers the current assignment."""

    partitions: set[TopicPartition] = field(default_factory=set)

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Add partitions."""
        self.partitions |= partitions

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Remove partitions."""
        self.partitions -= partitions


async def produce(lab: BrokerLab, values: list[bytes], partition: int = 0) -> tuple[int, int]:
    """Produce one acknowledged batch; return its base offset and timestamp."""
    producer = lab.producer()
    await producer.start()
    batch = producer.new_batch()
    for value in values:
        assert batch.append(b"key", value, HEADERS)
    ack = await (await producer.send(batch, TopicPartition(lab.topic, partition)))
    await producer.stop()
    return ack.base_offset, ack.timestamp


async def drain(consumer: GroupConsumer, count: int, seconds: float = 10.0) -> list[Record]:
    """Poll until `count` records came or the time is over."""
    records: list[Record] = []
    async with asyncio.timeout(seconds):
        while len(records) < count:
            for polled in (await consumer.poll(0.1)).values():
                records.extend(polled)
    return records


async def eventually(fact: Callable[[], bool], consumer: GroupConsumer) -> None:
    """Poll until the fact holds: an assignment arrives while its consumer polls."""
    async with asyncio.timeout(20):
        while not fact():
            await consumer.poll(0.05)


async def own(consumer: GroupConsumer, partition: TopicPartition, offset: int) -> None:
    """Join and read the partition from `offset`."""
    owned = Owned()
    await consumer.start(owned)
    await eventually(lambda: partition in owned.partitions, consumer)
    consumer.seek(partition, offset)
    consumer.resume(partition)


class BrokerSuite:
    """The facts the publisher and the sink rely on."""

    @pytest.fixture
    def partition(self, lab: BrokerLab) -> TopicPartition:
        """The partition most tests use."""
        return TopicPartition(lab.topic, 0)

    async def test_an_ack_names_the_first_offset_and_the_append_time(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        first, stamp = await produce(lab, [b"a", b"b"])
        second, _ = await produce(lab, [b"c"])
        assert (first, second) == (0, 2)
        consumer = lab.consumer("ack")
        await own(consumer, partition, 0)
        records = await drain(consumer, 3)
        await consumer.stop()
        assert [record.offset for record in records] == [0, 1, 2]
        assert [record.value for record in records] == [b"a", b"b", b"c"]
        assert records[0].timestamp == records[1].timestamp == stamp
        assert list(records[0].headers) == HEADERS
        assert records[0].key == b"key"

    async def test_a_missing_topic_is_named(self, lab: BrokerLab) -> None:
        producer = lab.producer()
        await producer.start()
        with pytest.raises(UnknownTopic, match="migrations"):
            await producer.partition_count("no-such-topic")
        assert await producer.partition_count(lab.topic) == 2
        await producer.stop()

    async def test_nothing_is_returned_before_a_position_is_sought(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        await produce(lab, [b"a", b"b", b"c"])
        owned = Owned()
        consumer = lab.consumer("position")
        await consumer.start(owned)
        await eventually(lambda: partition in owned.partitions, consumer)
        for _ in range(5):
            assert not await consumer.poll(0.05)
        consumer.seek(partition, 1)
        consumer.resume(partition)
        assert [record.offset for record in await drain(consumer, 2)] == [1, 2]
        await consumer.stop()

    async def test_a_paused_partition_is_silent_until_it_is_resumed(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        consumer = lab.consumer("pause")
        await own(consumer, partition, 0)
        consumer.pause(partition)
        await produce(lab, [b"a"])
        for _ in range(5):
            assert not await consumer.poll(0.05)
        consumer.resume(partition)
        assert len(await drain(consumer, 1)) == 1
        await consumer.stop()

    async def test_a_commit_is_remembered_for_the_group(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        await produce(lab, [b"a", b"b"])
        consumer = lab.consumer("commit")
        await own(consumer, partition, 0)
        assert await consumer.committed(partition) is None
        await consumer.commit(partition, 2)
        assert await consumer.committed(partition) == 2
        assert await consumer.log_range(partition) == (0, 2)
        await consumer.stop()

    async def test_members_share_the_partitions_and_inherit_them(self, lab: BrokerLab) -> None:
        both = {TopicPartition(lab.topic, 0), TopicPartition(lab.topic, 1)}
        one, other = Owned(), Owned()
        first, second = lab.consumer("shared"), lab.consumer("shared")
        await first.start(one)
        await eventually(lambda: one.partitions == both, first)
        joining = asyncio.create_task(second.start(other))
        await eventually(lambda: len(one.partitions) == 1 and len(other.partitions) == 1, first)
        await joining
        assert one.partitions | other.partitions == both
        await second.stop()
        await eventually(lambda: one.partitions == both, first)
        await first.stop()
