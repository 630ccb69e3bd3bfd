"""A broker in memory: the protocols of `service_runtime.broker`, with faults a test can switch on."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from service_runtime.broker import (
    Ack,
    AssignmentListener,
    Batch,
    BrokerUnavailable,
    DeliveryUnknown,
    Headers,
    Record,
    UnknownTopic,
)
from service_runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record in a log."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class _Log:
    records: list[StoredRecord] = field(default_factory=list)
    start: int = 0
    end: int = 0


class InMemoryBroker:
    """Topics as lists, with faults.

    `away` refuses everything. `silent` takes batches and never answers, `silent_partitions` does so for
    some. `deaf` accepts every call but returns no records, as when a consumer has lost its coordinator.
    `latency` is how long questions about offsets take, in seconds.
    """

    def __init__(self, clock: Clock, topics: Mapping[str, int]) -> None:
        self.clock = clock
        self.away = False
        self.silent = False
        self.silent_partitions: set[int] = set()
        self.deaf = False
        self.latency = 0.0
        self.commits: dict[tuple[str, TopicPartition], int] = {}
        self._logs = {TopicPartition(name, p): _Log() for name, count in topics.items() for p in range(count)}
        self._members: defaultdict[tuple[str, str], list[InMemoryConsumer]] = defaultdict(list)

    def log(self, partition: TopicPartition) -> list[StoredRecord]:
        """Return what the partition holds."""
        return list(self._logs[partition].records)

    def log_of(self, partition: TopicPartition) -> _Log:
        """Return the partition's log with its bounds."""
        return self._logs[partition]

    def partitions(self, topic: str) -> list[TopicPartition]:
        """Return the topic's partitions in order; empty when there is no such topic."""
        return sorted(partition for partition in self._logs if partition.topic == topic)

    def require(self) -> None:
        """Raise BrokerUnavailable while the broker is away."""
        if self.away:
            raise BrokerUnavailable("the broker is away")

    async def arrive(self) -> None:
        """Take the time of a round trip; raise BrokerUnavailable while the broker is away."""
        if self.latency:
            await self.clock.sleep(self.latency)
        self.require()

    def append(
        self,
        partition: TopicPartition,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp: int | None = None,
    ) -> int:
        """Append a record as another producer would; return its offset."""
        log = self._logs[partition]
        stamp = int(self.clock.now() * 1000) if timestamp is None else timestamp
        log.records.append(StoredRecord(log.end, stamp, key, value, headers))
        log.end += 1
        return log.end - 1

    def skip_offsets(self, partition: TopicPartition, count: int) -> None:
        """Leave a legal gap, as a transaction's markers do."""
        self._logs[partition].end += count

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        """Delete the head of the log, as retention does."""
        log = self._logs[partition]
        log.records = [record for record in log.records if record.offset >= offset]
        log.start = max(log.start, offset)

    def recreate(self, partition: TopicPartition) -> None:
        """Start the partition again from offset 0, as deleting and creating the topic does."""
        self._logs[partition] = _Log()

    def producer(self) -> "InMemoryProducer":
        """Return a producer."""
        return InMemoryProducer(self)

    def consumer(self, topic: str, group: str) -> "InMemoryConsumer":
        """Return a member of the group, not yet joined."""
        return InMemoryConsumer(self, topic, group)

    def join(self, consumer: "InMemoryConsumer") -> None:
        """Add a member and deal the partitions anew."""
        self._members[consumer.membership].append(consumer)
        self._rebalance(consumer.membership)

    def leave(self, consumer: "InMemoryConsumer") -> None:
        """Remove a member and deal the partitions anew."""
        if consumer in self._members[consumer.membership]:
            self._members[consumer.membership].remove(consumer)
            self._rebalance(consumer.membership)
        consumer.take(frozenset())

    def expire(self, consumer: "InMemoryConsumer") -> None:
        """End a member's session: others take over, and it does not know until it joins again."""
        if consumer in self._members[consumer.membership]:
            self._members[consumer.membership].remove(consumer)
            self._rebalance(consumer.membership)

    def is_member(self, consumer: "InMemoryConsumer") -> bool:
        """Whether the group counts on it."""
        return consumer in self._members[consumer.membership]

    def _rebalance(self, membership: tuple[str, str]) -> None:
        members = self._members[membership]
        for member in members:
            member.take(frozenset())
        for index, member in enumerate(members):
            member.take(frozenset(self.partitions(membership[0])[index :: len(members)]))


@dataclass
class InMemoryBatch:
    """A batch that is full at `limit` records."""

    limit: int = 1000
    records: list[tuple[bytes | None, bytes, Headers]] = field(default_factory=list)

    def append(self, key: bytes | None, value: bytes, headers: Headers) -> bool:
        """Add a record; False when the batch is full."""
        if len(self.records) >= self.limit:
            return False
        self.records.append((key, value, headers))
        return True

    def __len__(self) -> int:
        return len(self.records)


class InMemoryProducer:
    """Writes whole batches; in silence their acks never come."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self._broker = broker
        self._unanswered: list[tuple[asyncio.Future[Ack], InMemoryBatch, TopicPartition]] = []
        self.starts = 0

    async def start(self) -> None:
        """Connect; raises BrokerUnavailable while the broker is away."""
        self._broker.require()
        self.starts += 1

    async def stop(self) -> None:
        """Disconnect: what was not acknowledged stays unknown."""
        self.fail_unanswered("the producer stopped")

    def fail_unanswered(self, why: str) -> None:
        """Fail every unanswered batch, as a dead sender does."""
        for future, _, _ in self._unanswered:
            if not future.done():
                future.set_exception(DeliveryUnknown(why))
        self._unanswered.clear()

    def answer_late(self) -> None:
        """Write and acknowledge every unanswered batch after all."""
        for future, batch, to in self._unanswered:
            future.set_result(self._write(batch, to))
        self._unanswered.clear()

    async def partition_count(self, topic: str) -> int:
        """Return the number of partitions."""
        self._broker.require()
        count = len(self._broker.partitions(topic))
        if count == 0:
            raise UnknownTopic("the topic does not exist: run the migrations")
        return count

    def new_batch(self) -> InMemoryBatch:
        """Return an empty batch."""
        return InMemoryBatch()

    async def send(self, batch: Batch, to: TopicPartition) -> "asyncio.Future[Ack]":
        """Append the batch in one go."""
        assert isinstance(batch, InMemoryBatch)  # noqa: S101 (batches come from new_batch)
        self._broker.require()
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        if self._broker.silent or to.partition in self._broker.silent_partitions:
            self._unanswered.append((future, batch, to))
        else:
            future.set_result(self._write(batch, to))
        return future

    def _write(self, batch: InMemoryBatch, to: TopicPartition) -> Ack:
        stamp = int(self._broker.clock.now() * 1000)
        offsets = [
            self._broker.append(to, value, key=key, headers=headers, timestamp=stamp)
            for key, value, headers in batch.records
        ]
        return Ack(offsets[0], stamp)


class InMemoryConsumer:
    """A group member; returns records of a partition only once a position was sought there."""

    def __init__(self, broker: InMemoryBroker, topic: str, group: str) -> None:
        self._broker = broker
        self.membership = (topic, group)
        self._listener: AssignmentListener | None = None
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group."""
        self._broker.require()
        if not self._broker.partitions(self.membership[0]):
            raise UnknownTopic("the topic does not exist: run the migrations")
        self._listener = listener
        self._broker.join(self)

    async def stop(self) -> None:
        """Leave the group."""
        self._broker.leave(self)

    def take(self, partitions: frozenset[TopicPartition]) -> None:
        """Replace the assignment, telling the listener."""
        if self._listener is None:
            return
        if self._assigned:
            self._listener.revoked(self._assigned)
        self._assigned, self._positions, self._paused = partitions, {}, set(partitions)
        if partitions:
            self._listener.assigned(partitions)

    async def poll(self, max_wait: float) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return all that is there, or wait once for `max_wait` and look again."""
        self._broker.require()
        polled = self._drain()
        if not polled:
            await self._broker.clock.sleep(max_wait)
            self._broker.require()
            polled = self._drain()
        return polled

    def _drain(self) -> dict[TopicPartition, list[StoredRecord]]:
        polled = {}
        for partition, position in sorted(self._positions.items()):
            if partition in self._paused or self._broker.deaf:
                continue
            records = [record for record in self._broker.log(partition) if record.offset >= position]
            if records:
                polled[partition] = records
                self._positions[partition] = records[-1].offset + 1
        return polled

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from this offset."""
        if partition in self._assigned:
            self._positions[partition] = offset

    def pause(self, partition: TopicPartition) -> None:
        """Return no more of this partition."""
        self._paused.add(partition)

    def resume(self, partition: TopicPartition) -> None:
        """Return this partition's records again."""
        self._paused.discard(partition)

    async def commit(self, partition: TopicPartition, offset: int) -> None:
        """Commit the next offset to read; a member whose session has run out cannot."""
        await self._broker.arrive()
        if not self._broker.is_member(self):
            raise BrokerUnavailable("the group goes on without this member")
        self._broker.commits[self.membership[1], partition] = offset

    async def committed(self, partition: TopicPartition) -> int | None:
        """Return the committed offset or None."""
        await self._broker.arrive()
        return self._broker.commits.get((self.membership[1], partition))

    async def log_range(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the first offset still held and the offset after the last."""
        await self._broker.arrive()
        log = self._broker.log_of(partition)
        return log.start, log.end
