"""For tests: sinks among fakes, and a clock that a test moves."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import UUID

from aiokafka import TopicPartition
from pin_schema.archive import (
    ArchivedRecord,
    ObjectKey,
    ObjectMetadata,
    hour_of,
    record_sha256,
)
from pin_schema.archive_stream import decode_object
from pin_schema.logs import NO_TOPIC, log_name
from prometheus_client import CollectorRegistry
from service_runtime.object_store import StoredObject
from service_runtime.service import Service
from service_runtime.testing.broker import InMemoryBroker, InMemoryConsumer
from service_runtime.testing.clock import FakeClock
from service_runtime.testing.object_store import InMemoryObjectStore
from starlette.testclient import TestClient

from s3_sink.app import create_sink
from s3_sink.resume import Bookmark
from s3_sink.settings import SinkSettings

P0, P1 = TopicPartition("pins", 0), TopicPartition("pins", 1)
LETTERS = TopicPartition("pins.dead-letter", 0)

T = TypeVar("T")


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
        self._started: list[RunningSink] = []

    async def close(self) -> None:
        """End every sink that the test has left running: its tasks would outlive the test."""
        for running in self._started:
            await running.crash()

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
            chosen, consumer, self.broker.producer(), self.store, self.clock, self.registry, at_once
        )
        stop = asyncio.Event()
        worker = asyncio.ensure_future(self.service.worker(stop))
        self._started.append(RunningSink(self, consumer, stop, worker))
        return self._started[-1]

    @asynccontextmanager
    async def sink(self, **settings: object) -> AsyncIterator["RunningSink"]:
        """Run a sink for the block, and stop it unless the block has ended it."""
        running = self.start(**settings)
        yield running
        if not running.task.done():
            await running.stop()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass; who sleeps wakes at his own moment."""
        await self.clock.advance(seconds)

    def archived(self, partition: TopicPartition = P0, log: str | None = None) -> list[ArchivedRecord]:
        """Return all records in the bucket, object by object in key order, each object verified."""
        records = []
        for key in self.object_keys(log):
            if key.partition == partition.partition:
                found = self.store.objects[str(key)]
                records.extend(decode_object(str(key), found.body, found.metadata))
        return records

    def archived_to(self, partition: TopicPartition = P0) -> int:
        """Return the offset after the last archived one, as the newest object's metadata say."""
        keys = [key for key in self.object_keys() if key.partition == partition.partition]
        return int(self.store.objects[str(keys[-1])].metadata["end"]) + 1 if keys else 0

    def object_keys(self, log: str | None = None) -> list[ObjectKey]:
        """Return the keys of a log's objects, by offset; of the topic's own log when none is named."""
        parsed = [ObjectKey.parse(text) for text in self.store.objects if text.endswith(".zst")]
        return sorted((key for key in parsed if key.log == (log or self.log)), key=lambda key: key.start)

    def commit(self, partition: TopicPartition = P0) -> int | None:
        """Return the offset that the group has committed."""
        commit = self.broker.commits.get(("s3-sink", partition))
        return None if commit is None else commit.offset

    def bookmark(self, partition: TopicPartition = P0) -> Bookmark:
        """Return what the group's commit says."""
        bookmark = Bookmark.read(self.broker.commits["s3-sink", partition])
        assert bookmark is not None  # noqa: S101 (a test's own fact)
        return bookmark

    @property
    def log(self) -> str:
        """The short name of the log that the topic has now."""
        return log_name(self.broker.identity(P0).topic_id)

    def offsets(self, partition: TopicPartition = P0, log: str | None = None) -> list[int]:
        """Offsets of a log's archived records, in key order."""
        return [record.offset for record in self.archived(partition, log)]

    def ready(self) -> dict[str, str]:
        """Return the state of each dependency, or why it is awaited."""
        report = TestClient(self.service.app).get("/health/ready").json()["dependencies"]
        return {name: entry.get("why", entry["state"]) for name, entry in report.items()}

    def metric(self, name: str, **labels: str) -> float:
        """Return a sample of the newest sink, 0 when there is none."""
        return self.registry.get_sample_value(name, labels) or 0.0

    def put_object(self, start: int, end: int, first_ts: int, last_ts: int, *, format_1: bool = False) -> str:
        """Store what another member's object would say of itself, without a body; return its key."""
        topic_id = NO_TOPIC if format_1 else self.broker.identity(P0).topic_id
        metadata = metadata_of(start, end, first_ts=first_ts, last_ts=last_ts, topic_id=topic_id)
        for record in self.broker.log(P0):
            if record.offset == end:
                metadata = replace(metadata, last_sha256=record_sha256(record.key, record.value))
        key = str(ObjectKey(metadata.log, 0, start, hour_of(first_ts)))
        self.store.objects[key] = StoredObject(b"", metadata.to_dict())
        return key


def metadata_of(
    start: int, end: int, *, first_ts: int = 0, last_ts: int = 0, topic_id: UUID = NO_TOPIC
) -> ObjectMetadata:
    """Return what an object of these records says of itself."""
    sums = "another's", topic_id, 0, last_ts * 1000 - end, ""
    return ObjectMetadata(start, end, end - start + 1, first_ts, last_ts, *sums)


async def at_once(function: Callable[..., T], /, *arguments: Any) -> T:
    """Run what the sink would run in a thread; the clock stands still meanwhile."""
    return function(*arguments)


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
        while not self.task.done():
            await self.world.pass_time(0.1)
        await asyncio.gather(self.task, return_exceptions=True)
