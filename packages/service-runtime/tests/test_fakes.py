"""The fakes pass the same suites as the real servers (see tests/integration/test_real_servers.py)."""

import asyncio

import pytest
from service_runtime.broker import BrokerUnavailable
from service_runtime.clock import SystemClock
from service_runtime.object_store import StoreUnavailable
from service_runtime.testing.broker import InMemoryBroker, InMemoryConsumer, InMemoryProducer
from service_runtime.testing.broker_suite import BrokerSuite
from service_runtime.testing.clock import FakeClock
from service_runtime.testing.object_store import InMemoryObjectStore
from service_runtime.testing.object_store_suite import ObjectStoreSuite


class InMemoryLab:
    topic = "suite"

    def __init__(self) -> None:
        self.broker = InMemoryBroker(SystemClock(), {self.topic: 2})

    def producer(self) -> InMemoryProducer:
        return self.broker.producer()

    def consumer(self, group: str) -> InMemoryConsumer:
        return self.broker.consumer(self.topic, group)


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


async def test_a_lost_answer_hides_a_write_that_happened() -> None:
    store = InMemoryObjectStore()
    store.lose_answers = 1
    with pytest.raises(StoreUnavailable):
        await store.put_if_absent("key", b"body", {})
    assert not await store.put_if_absent("key", b"other", {})


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
