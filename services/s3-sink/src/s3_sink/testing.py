"""For tests: sinks among fakes, and a clock that a test moves."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import TopicPartition
from pin_schema.archive import ArchivedRecord, ObjectKey, ObjectMetadata, decode_object, hour_of
from prometheus_client import CollectorRegistry
from service_runtime.object_store import StoredObject
from service_runtime.service import Service
from service_runtime.testing.broker import InMemoryBroker, InMemoryConsumer
from service_runtime.testing.clock import FakeClock
from service_runtime.testing.object_store import InMemoryObjectStore
from starlette.testclient import TestClient

from s3_sink.app import create_sink
from s3_sink.settings import SinkSettings

P0, P1 = TopicPartition("pins", 0), TopicPartition("pins", 1)
LETTERS = TopicPartition("pins.dead-letter", 0)


def a_pin(index: int = 0, **more: object) -> bytes:
    """Return a valid pin."""
    return json.dumps({"index": index, "unique_id": str(uuid.UUID(int=index)), **more}).encode()


class World:
    """A broker with two partitions, a bucket, a clock, and as many sinks as a test starts."""

    def __init__(self) -> None:
        self.clock = FakeClock(now=1_800_000_000.0)
        self.broker = InMemoryBroker(self.clock, {"pins": 2, "pins.dead-letter": 1})
        self.store = InMemoryObjectStore(self.clock)
        self.registry = CollectorRegistry()
        self.service: Service

    def post(self, count: int, partition: TopicPartition = P0) -> None:
        """Append pins as ingest-api would."""
        for index in range(count):
            self.broker.append(partition, a_pin(index), key=b"key")

    def start(self, **settings: object) -> "RunningSink":
        """Start a sink with a registry and health routes of its own."""
        chosen = SinkSettings.model_validate({"flush_max_seconds": 5, **settings})
        self.registry = CollectorRegistry()
        consumer = self.broker.consumer("pins", chosen.kafka_group)
        self.service = create_sink(
            chosen, consumer, self.broker.producer(), self.store, self.clock, self.registry
        )
        stop = asyncio.Event()
        return RunningSink(self, consumer, stop, asyncio.ensure_future(self.service.worker(stop)))

    @asynccontextmanager
    async def sink(self, **settings: object) -> AsyncIterator["RunningSink"]:
        """Run a sink for the block, and stop it unless the block has ended it."""
        running = self.start(**settings)
        yield running
        if not running.task.done():
            await running.stop()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass in steps of 0.1 s."""
        for _ in range(round(seconds * 10)):
            await self.clock.advance(0.1)

    def archived(self, partition: TopicPartition = P0) -> list[ArchivedRecord]:
        """Return all records in the bucket, object by object in key order, each object verified."""
        records = []
        for key in sorted(self.store.objects, key=lambda text: ObjectKey.parse(text).start):
            found = self.store.objects[key]
            if ObjectKey.parse(key).partition == partition.partition:
                records.extend(decode_object(key, found.body, found.metadata))
        return records

    def offsets(self, partition: TopicPartition = P0) -> list[int]:
        """Offsets of all archived records, in key order."""
        return [record.offset for record in self.archived(partition)]

    def ready(self) -> dict[str, str]:
        """Return the state of each dependency, or why it is awaited."""
        report = TestClient(self.service.app).get("/health/ready").json()["dependencies"]
        return {name: entry.get("why", entry["state"]) for name, entry in report.items()}

    def metric(self, name: str, **labels: str) -> float:
        """Return a sample of the newest sink, 0 when there is none."""
        return self.registry.get_sample_value(name, labels) or 0.0

    def put_object(self, start: int, end: int, first_ts: int, last_ts: int) -> None:
        """Store what another member's object would say of itself; it has no body."""
        key = str(ObjectKey(0, start, hour_of(first_ts)))
        metadata = ObjectMetadata(start, end, end - start + 1, first_ts, last_ts, "another's")
        self.store.objects[key] = StoredObject(b"", metadata.to_dict())


@dataclass(frozen=True)
class RunningSink:
    """A sink's process."""

    world: World
    consumer: InMemoryConsumer
    asked_to_stop: asyncio.Event
    task: "asyncio.Future[int | None]"

    async def stop(self) -> None:
        """Stop as SIGTERM does; raise what the sink failed with."""
        self.asked_to_stop.set()
        while not self.task.done():
            await self.world.pass_time(0.5)
        await self.task

    def become_a_zombie(self) -> bool:
        """Lose the session without noticing: partitions move on, this sink goes on. False for no member."""
        is_member = self.world.broker.is_member(self.consumer)
        self.world.broker.expire(self.consumer)
        return is_member

    def notice(self) -> None:
        """Join the group again, as a zombie does at its next heartbeat."""
        self.world.broker.leave(self.consumer)
        self.world.broker.join(self.consumer)

    async def crash(self) -> None:
        """Die as kill -9 does: nothing is stored, and the group notices."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
