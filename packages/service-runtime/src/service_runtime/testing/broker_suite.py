"""What every broker must do: subclass with a `lab` fixture, fake or real."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import pytest
from aiokafka import TopicPartition

from service_runtime.broker import (
    Ack,
    BatchProducer,
    BatchRefused,
    BrokerUnavailable,
    Commit,
    DeliveryUnknown,
    GroupConsumer,
    InstanceNameTaken,
    LogIdentity,
    Record,
    Topic,
    UnknownTopic,
    record_bytes,
)

HEADERS = [("schema", b"pin/1")]
MAX_BYTES = 1024 * 1024
MAX_BATCH_BYTES = 256 * 1024
"""What the lab's topic takes as one batch."""


class BrokerLab(Protocol):
    """A fresh topic of two partitions with log-append time and small batches, and clients for it."""

    topic: str

    def producer(self) -> BatchProducer:
        """Return a producer, not started."""

    def consumer(self, group: str, instance: str | None = None) -> GroupConsumer:
        """Return a group member, not started."""

    async def recreate_topic(self, partitions: int) -> None:
        """Delete the topic and create it again."""

    async def delete_topic(self) -> None:
        """Delete the topic."""

    async def append_undecodable(self, partition: TopicPartition) -> None:
        """Append one record that cannot be decoded."""

    async def end_with_a_marker(self, partition: TopicPartition) -> None:
        """Append a record in a transaction, and so the transaction's marker."""


@dataclass
class Owned:
    """Remembers the current assignment, and how often there was one."""

    partitions: set[TopicPartition] = field(default_factory=set)
    assignments: int = 0

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Add partitions."""
        self.partitions |= partitions
        self.assignments += 1

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


async def send(producer: BatchProducer, partition: TopicPartition) -> Ack:
    """Send one record and return its ack."""
    batch = producer.new_batch()
    assert batch.append(b"key", b"value", HEADERS)
    return await (await producer.send(batch, partition))


async def known_topic(producer: BatchProducer, name: str) -> Topic:
    """Ask for a topic until there is an answer."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await producer.topic(name)
            except BrokerUnavailable:
                await asyncio.sleep(0.1)


async def drain(consumer: GroupConsumer, count: int, max_bytes: int = MAX_BYTES) -> list[Record]:
    """Poll until `count` records came; fail after ten seconds."""
    records: list[Record] = []
    async with asyncio.timeout(10):
        while len(records) < count:
            for polled in (await consumer.poll(0.1, max_bytes)).values():
                records.extend(polled)
    return records


async def eventually(fact: Callable[[], bool], consumer: GroupConsumer) -> None:
    """Poll until the fact holds: an assignment arrives while its consumer polls."""
    async with asyncio.timeout(20):
        while not fact():
            await consumer.poll(0.05, MAX_BYTES)


async def own(consumer: GroupConsumer, partition: TopicPartition, offset: int) -> Owned:
    """Join and read the partition from `offset`."""
    owned = Owned()
    await consumer.start(owned)
    await eventually(lambda: partition in owned.partitions, consumer)
    consumer.seek(partition, offset)
    consumer.resume(partition)
    return owned


async def identity(consumer: GroupConsumer, partition: TopicPartition) -> LogIdentity:
    """Ask for a log's identity until there is an answer."""
    async with asyncio.timeout(20):
        while True:
            try:
                return (await consumer.log_identities([partition]))[partition]
            except BrokerUnavailable:
                await asyncio.sleep(0.1)


async def refused(call: Callable[[], Awaitable[object]], error: type[BrokerUnavailable]) -> None:
    """Call until this error is raised; the news that a topic is deleted takes a moment."""
    async with asyncio.timeout(20):
        while True:
            try:
                await call()
            except error:
                return
            await asyncio.sleep(0.1)


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
            await producer.topic("no-such-topic")
        assert (await producer.topic(lab.topic)).partitions == 2
        await producer.stop()

    async def test_an_ack_names_the_log_that_holds_the_batch(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        producer = lab.producer()
        await producer.start()
        ack = await send(producer, partition)
        assert ack.topic_id == (await producer.topic(lab.topic)).topic_id
        consumer = lab.consumer("log")
        await own(consumer, partition, 0)
        assert (await identity(consumer, partition)).topic_id == ack.topic_id
        await consumer.stop()
        await producer.stop()

    async def test_no_batch_gets_into_the_log_of_a_topic_that_was_created_again(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        producer = lab.producer()
        await producer.start()
        before = await send(producer, partition)
        await lab.recreate_topic(2)
        for _ in range(2):
            with pytest.raises(DeliveryUnknown, match="created again"):
                await send(producer, partition)
            now = await known_topic(producer, lab.topic)
            assert now.topic_id != before.topic_id
        await producer.stop()
        await producer.start()
        ack = await send(producer, partition)
        assert (ack.topic_id, ack.base_offset) == (now.topic_id, 0), "nothing came in before"
        await producer.stop()

    async def test_a_refused_batch_concerns_no_other(self, lab: BrokerLab, partition: TopicPartition) -> None:
        producer = lab.producer()
        await producer.start()
        for number in range(3):
            too_large = producer.new_batch()
            assert too_large.append(b"key", os.urandom(MAX_BATCH_BYTES + 1), HEADERS)
            with pytest.raises(BatchRefused) as refused:
                await (await producer.send(too_large, partition))
            assert refused.value.too_large
            assert (await send(producer, partition)).base_offset == number
        await producer.stop()

    async def test_a_partition_that_is_not_there_is_not_waited_for(self, lab: BrokerLab) -> None:
        producer = lab.producer()
        await producer.start()
        with pytest.raises(BrokerUnavailable, match=r"partition 7 .* is not there"):
            await send(producer, TopicPartition(lab.topic, 7))
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
            assert not await consumer.poll(0.05, MAX_BYTES)
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
            assert not await consumer.poll(0.05, MAX_BYTES)
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
        await consumer.commit(partition, 2, "pin/1 of t0123abcd")
        assert await consumer.committed(partition) == Commit(2, "pin/1 of t0123abcd")
        await consumer.commit(partition, 1, "")
        assert await consumer.committed(partition) == Commit(1, "")
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

    async def test_a_member_without_a_partition_is_told_so(self, lab: BrokerLab) -> None:
        members = [(lab.consumer("crowd"), Owned()) for _ in range(3)]
        for consumer, owned in members:
            await consumer.start(owned)

        async def everyone_polls() -> None:
            async with asyncio.timeout(20):
                while not all(owned.assignments for _, owned in members) or sum(
                    len(owned.partitions) for _, owned in members
                ) != len({p for _, owned in members for p in owned.partitions}):
                    await asyncio.gather(*(consumer.poll(0.05, MAX_BYTES) for consumer, _ in members))

        await everyone_polls()
        assert sorted(len(owned.partitions) for _, owned in members) == [0, 1, 1]
        for consumer, _ in members:
            await consumer.stop()

    async def test_a_poll_holds_its_bytes_and_one_record_more(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        values = [b"x" * 1000] * 40
        for number in range(2):
            await produce(lab, values, number)
        consumer = lab.consumer("bytes")
        owned = await own(consumer, partition, 0)
        for other in owned.partitions:
            consumer.seek(other, 0)
            consumer.resume(other)
        limit, sizes, served = 5000, list[int](), list[set[TopicPartition]]()
        async with asyncio.timeout(20):
            while sum(sizes) < 80 * 1014:
                polled = await consumer.poll(0.1, limit)
                if polled:
                    sizes.append(sum(record_bytes(r) for records in polled.values() for r in records))
                    served.append(set(polled))
        await consumer.stop()
        assert sum(sizes) == 80 * 1014
        assert max(sizes) < limit + 1014
        assert len(set.union(*served[:8])) == 2, "a partition with much to read starves the other"

    async def test_one_record_larger_than_the_limit_is_handed_out(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        await produce(lab, [b"x" * 20_000, b"y" * 20_000])
        consumer = lab.consumer("large")
        await own(consumer, partition, 0)
        assert [record.offset for record in await drain(consumer, 2, max_bytes=1)] == [0, 1]
        await consumer.stop()

    async def test_the_position_follows_what_is_handed_out_and_what_is_skipped(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        await produce(lab, [b"a", b"b"])
        await lab.end_with_a_marker(partition)
        consumer = lab.consumer("marker")
        owned = Owned()
        await consumer.start(owned)
        await eventually(lambda: partition in owned.partitions, consumer)
        assert consumer.position(partition) is None
        consumer.seek(partition, 0)
        assert consumer.position(partition) == 0
        consumer.resume(partition)
        assert [record.offset for record in await drain(consumer, 1, max_bytes=1)] == [0]
        assert consumer.position(partition) == 1
        assert [record.offset for record in await drain(consumer, 2)] == [1, 2]
        _, end = await consumer.log_range(partition)
        assert end == 4
        await eventually(lambda: consumer.position(partition) == end, consumer)
        await consumer.stop()
        assert consumer.position(partition) is None

    async def test_what_cannot_be_decoded_concerns_its_own_partition(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        other = TopicPartition(lab.topic, 1)
        await produce(lab, [b"a", b"b"])
        await lab.append_undecodable(partition)
        await produce(lab, [b"c"])
        consumer = lab.consumer("undecodable")
        await own(consumer, partition, 0)
        assert [record.value for record in await drain(consumer, 2)] == [b"a", b"b"]
        await eventually(lambda: consumer.undecodable(partition) is not None, consumer)
        assert consumer.position(partition) == 2
        consumer.seek(other, 0)
        consumer.resume(other)
        await produce(lab, [b"d"], other.partition)
        assert [record.value for record in await drain(consumer, 1)] == [b"d"]
        assert consumer.undecodable(other) is None
        consumer.seek(partition, 3)
        assert consumer.undecodable(partition) is None
        assert [record.value for record in await drain(consumer, 1)] == [b"c"]
        await consumer.stop()

    async def test_a_position_outside_of_the_log_is_read_from_the_first_offset(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        await produce(lab, [b"a", b"b"])
        consumer = lab.consumer("outside")
        await own(consumer, partition, 100)
        assert [record.offset for record in await drain(consumer, 2)] == [0, 1]
        assert consumer.position(partition) == 2
        await consumer.stop()

    async def test_a_topic_created_again_is_another_log(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        other = TopicPartition(lab.topic, 1)
        consumer = lab.consumer("identity")
        await own(consumer, partition, 0)
        before = await consumer.log_identities([partition, other])
        assert before == await consumer.log_identities([partition, other])
        assert before[partition].topic_id == before[other].topic_id
        await lab.recreate_topic(2)
        after = await identity(consumer, partition)
        assert after.topic_id != before[partition].topic_id
        await consumer.stop()

    async def test_a_topic_that_shrinks_and_grows_takes_its_partitions_along(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        other = TopicPartition(lab.topic, 1)
        consumer = lab.consumer("shrink")
        owned = await own(consumer, partition, 0)
        await lab.recreate_topic(1)
        await eventually(lambda: owned.partitions == {partition}, consumer)
        await identity(consumer, partition)
        for question in (
            lambda: consumer.log_identities([partition, other]),
            lambda: consumer.log_range(other),
            lambda: consumer.commit(other, 0, ""),
        ):
            await refused(question, BrokerUnavailable)
        await lab.recreate_topic(3)
        await eventually(lambda: len(owned.partitions) == 3, consumer)
        await consumer.stop()

    async def test_of_a_deleted_topic_nothing_is_known(
        self, lab: BrokerLab, partition: TopicPartition
    ) -> None:
        consumer = lab.consumer("deleted")
        owned = await own(consumer, partition, 0)
        await lab.delete_topic()
        await refused(lambda: consumer.log_identities([partition]), UnknownTopic)
        await eventually(lambda: not owned.partitions, consumer)
        for question in (
            lambda: consumer.log_range(partition),
            lambda: consumer.commit(partition, 0, ""),
        ):
            await refused(question, BrokerUnavailable)
        await consumer.stop()

    async def test_an_instance_name_is_for_one_member(self, lab: BrokerLab) -> None:
        both = {TopicPartition(lab.topic, 0), TopicPartition(lab.topic, 1)}
        first, twin, other = (lab.consumer("names", name) for name in ("sink", "sink", "sink-2"))
        owned, others = Owned(), Owned()
        await first.start(owned)
        await eventually(lambda: owned.partitions == both, first)
        await first.check_name()

        async def refuse_the_twin() -> None:
            with pytest.raises(InstanceNameTaken, match="'sink'"):
                await twin.start(Owned())

        refusal = asyncio.create_task(refuse_the_twin())
        await eventually(refusal.done, first)
        await refusal
        assert owned.assignments == 1, "the twin has disturbed the member that was first"
        await other.start(others)
        await eventually(lambda: bool(others.partitions), other)
        await first.stop()
        await twin.start(Owned())
        for consumer in (twin, other):
            await consumer.stop()
