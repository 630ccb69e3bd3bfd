"""The fakes pass the same suites as the real servers (see tests/integration/test_real_servers.py)."""

import asyncio

import pytest
from aiokafka import TopicPartition
from service_runtime.broker import BrokerUnavailable
from service_runtime.clock import SystemClock
from service_runtime.object_store import StoreUnavailable
from service_runtime.testing.broker import InMemoryBroker, InMemoryConsumer, InMemoryProducer
from service_runtime.testing.broker_suite import MAX_BATCH_BYTES, BrokerSuite
from service_runtime.testing.clock import FakeClock
from service_runtime.testing.object_store import InMemoryObjectStore
from service_runtime.testing.object_store_suite import ObjectStoreSuite


class InMemoryLab:
    topic = "suite"

    def __init__(self) -> None:
        self.broker = InMemoryBroker(SystemClock(), {self.topic: 2})
        self.broker.max_batch_bytes = MAX_BATCH_BYTES

    def producer(self) -> InMemoryProducer:
        return self.broker.producer()

    def consumer(self, group: str, instance: str | None = None) -> InMemoryConsumer:
        return self.broker.consumer(self.topic, group, instance)

    async def recreate_topic(self, partitions: int) -> None:
        self.broker.recreate_topic(self.topic, partitions)

    async def delete_topic(self) -> None:
        self.broker.delete_topic(self.topic)

    async def append_undecodable(self, partition: TopicPartition) -> None:
        self.broker.append_undecodable(partition, b"value")

    async def end_with_a_marker(self, partition: TopicPartition) -> None:
        self.broker.append(partition, b"in a transaction")
        self.broker.skip_offsets(partition, 1)


class TestInMemoryBroker(BrokerSuite):
    @pytest.fixture
    def lab(self) -> InMemoryLab:
        return InMemoryLab()


class TestInMemoryObjectStore(ObjectStoreSuite):
    @pytest.fixture
    def object_store(self) -> InMemoryObjectStore:
        return InMemoryObjectStore()


async def test_a_broker_that_is_away_refuses_everything() -> None:
    lab = InMemoryLab()
    lab.broker.away = True
    with pytest.raises(BrokerUnavailable):
        await lab.producer().start()


async def test_a_truncated_log_keeps_its_id_and_has_another_leader_epoch() -> None:
    lab = InMemoryLab()
    partition = TopicPartition(lab.topic, 0)
    for _ in range(3):
        lab.broker.append(partition, b"value")
    before = lab.broker.identity(partition)
    lab.broker.truncate(partition, 1)
    assert [record.offset for record in lab.broker.log(partition)] == [0]
    assert lab.broker.append(partition, b"another") == 1
    after = lab.broker.identity(partition)
    assert (after.topic_id, after.leader_epoch) == (before.topic_id, before.leader_epoch + 1)
    lab.broker.elect(partition)
    assert lab.broker.identity(partition).leader_epoch == before.leader_epoch + 2
    assert len(lab.broker.log(partition)) == 2


async def test_a_lost_answer_hides_a_write_that_happened() -> None:
    store = InMemoryObjectStore()
    store.lose_answers = 1
    with pytest.raises(StoreUnavailable):
        await store.put_if_absent("key", b"body", {})
    assert not await store.put_if_absent("key", b"other", {})


async def test_a_store_that_refuses_writes_answers_reads() -> None:
    store = InMemoryObjectStore()
    store.refuses_puts = True
    with pytest.raises(StoreUnavailable, match="AccessDenied"):
        await store.put_if_absent("key", b"body", {})
    assert (await store.metadata("key"), await store.list_keys(""), store.puts) == (None, [], 1)


async def test_a_list_without_a_body_is_no_answer_and_the_next_one_is() -> None:
    store = InMemoryObjectStore()
    store.empty_lists = 1
    with pytest.raises(StoreUnavailable):
        await store.list_folders("")
    assert await store.list_folders("") == []


async def test_a_dangling_key_is_listed_and_not_found_until_it_is_written() -> None:
    store = InMemoryObjectStore()
    store.dangling = {"key"}
    assert (await store.list_keys(""), await store.get("key"), await store.metadata("key")) == (
        ["key"],
        None,
        None,
    )
    assert await store.put_if_absent("key", b"body", {})
    assert await store.get("key") is not None


async def test_a_fake_clock_wakes_sleepers_in_order_and_on_time() -> None:
    clock = FakeClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleeper("late", 5)), asyncio.create_task(sleeper("early", 2))]
    await asyncio.sleep(0)
    await clock.advance(1)
    assert woken == []
    await clock.advance(10)
    await asyncio.gather(*tasks)
    assert woken == [("early", 2.0), ("late", 5.0)]
    assert clock.monotonic() == 11.0
