"""A broker in memory: the protocols of `service_runtime.broker`, with faults a test can switch on."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from service_runtime.broker import (
    Ack,
    AssignmentListener,
    Batch,
    BatchRefused,
    BrokerUnavailable,
    Commit,
    DeliveryUnknown,
    Headers,
    InstanceNameTaken,
    LogIdentity,
    Record,
    Topic,
    UnknownTopic,
    record_bytes,
)
from service_runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record in a log."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass
class _Log:
    records: list[StoredRecord] = field(default_factory=list)
    start: int = 0
    end: int = 0
    leader_epoch: int = 0
    undecodable: set[int] = field(default_factory=set)


class InMemoryBroker:
    """Topics as lists, with faults.

    `away` refuses everything. `silent` takes batches and never answers, `silent_partitions` does so for
    some. `deaf` accepts every call but returns no records, as when a consumer has lost its coordinator.
    `latency` is how long questions about offsets take, in seconds. A batch of more than `max_batch_bytes`
    is refused for good.
    """

    def __init__(self, clock: Clock, topics: Mapping[str, int]) -> None:
        self.clock = clock
        self.away = False
        self.silent = False
        self.silent_partitions: set[int] = set()
        self.deaf = False
        self.latency = 0.0
        self.max_batch_bytes = 1024 * 1024
        self.commits: dict[tuple[str, TopicPartition], Commit] = {}
        self._logs: dict[TopicPartition, _Log] = {}
        self._topic_ids: dict[str, uuid.UUID] = {}
        self._created = 0
        for name, count in topics.items():
            self._create_topic(name, count)
        self._members: defaultdict[tuple[str, str], list[InMemoryConsumer]] = defaultdict(list)

    def log(self, partition: TopicPartition) -> list[StoredRecord]:
        """Return what the partition holds."""
        return list(self._logs[partition].records)

    def log_of(self, partition: TopicPartition) -> _Log:
        """Return the partition's log with its bounds; raises UnknownTopic."""
        if partition not in self._logs:
            raise UnknownTopic("the topic does not exist: run the migrations")
        return self._logs[partition]

    def holds(self, partition: TopicPartition) -> bool:
        """Whether there is such a partition."""
        return partition in self._logs

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
        headers: Sequence[tuple[str, bytes | None]] = (),
        timestamp: int | None = None,
    ) -> int:
        """Append a record as another producer would; return its offset."""
        log = self._logs[partition]
        stamp = int(self.clock.now() * 1000) if timestamp is None else timestamp
        log.records.append(StoredRecord(log.end, stamp, key, value, headers))
        log.end += 1
        return log.end - 1

    def append_undecodable(self, partition: TopicPartition, value: bytes) -> int:
        """Append a record that no consumer can decode, until `repair`; return its offset."""
        offset = self.append(partition, value)
        self._logs[partition].undecodable.add(offset)
        return offset

    def repair(self, partition: TopicPartition) -> None:
        """Make all of the partition decodable, as a leader with a sound disk does."""
        self._logs[partition].undecodable.clear()

    def skip_offsets(self, partition: TopicPartition, count: int) -> None:
        """Leave a legal gap, as a transaction's markers do."""
        self._logs[partition].end += count

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        """Delete the head of the log, as retention does."""
        log = self._logs[partition]
        log.records = [record for record in log.records if record.offset >= offset]
        log.start = max(log.start, offset)

    def truncate(self, partition: TopicPartition, offset: int) -> None:
        """Lose the log's end from `offset` on, as a new leader does that never had it."""
        log = self._logs[partition]
        log.records = [record for record in log.records if record.offset < offset]
        log.end = min(log.end, offset)
        log.undecodable = {lost for lost in log.undecodable if lost < offset}
        self.elect(partition)

    def elect(self, partition: TopicPartition) -> None:
        """Elect a leader that has all of the log: only the epoch rises."""
        self._logs[partition].leader_epoch += 1

    def recreate_topic(self, name: str, partitions: int | None = None) -> None:
        """Delete the topic and create it again: a new id, empty logs, offsets from 0."""
        before = len(self.partitions(name))
        self._forget_topic(name)
        self._create_topic(name, before if partitions is None else partitions)
        if len(self.partitions(name)) != before:  # else nobody is told: the members read on as before
            self._rebalance_all(name)

    def delete_topic(self, name: str) -> None:
        """Delete the topic, its logs and what groups have committed there."""
        self._forget_topic(name)
        self._rebalance_all(name)

    def _create_topic(self, name: str, partitions: int) -> None:
        # Random to look at, yet the same in each run.
        self._topic_ids[name] = uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {self._created}")
        self._created += 1
        self._logs |= {TopicPartition(name, number): _Log() for number in range(partitions)}

    def _forget_topic(self, name: str) -> None:
        self._topic_ids.pop(name)
        self._logs = {p: log for p, log in self._logs.items() if p.topic != name}
        self.commits = {(group, p): c for (group, p), c in self.commits.items() if p.topic != name}

    def identity(self, partition: TopicPartition) -> LogIdentity:
        """Return the log's identity; raises UnknownTopic."""
        epoch = self.log_of(partition).leader_epoch
        return LogIdentity(self._topic_ids[partition.topic], epoch)

    def topic(self, name: str) -> Topic:
        """Return what the topic is now; raises UnknownTopic."""
        if name not in self._topic_ids:
            raise UnknownTopic("the topic does not exist: run the migrations")
        return Topic(self._topic_ids[name], len(self.partitions(name)))

    def add_partitions(self, topic: str, count: int) -> None:
        """Give the topic more partitions, up to this many."""
        for number in range(count):
            self._logs.setdefault(TopicPartition(topic, number), _Log())

    def producer(self) -> "InMemoryProducer":
        """Return a producer."""
        return InMemoryProducer(self)

    def consumer(self, topic: str, group: str, instance: str | None = None) -> "InMemoryConsumer":
        """Return a member of the group, not yet joined."""
        return InMemoryConsumer(self, topic, group, instance)

    def join(self, consumer: "InMemoryConsumer") -> None:
        """Add a member and deal the partitions anew."""
        self._members[consumer.membership].append(consumer)
        self._rebalance(consumer.membership)

    def leave(self, consumer: "InMemoryConsumer") -> None:
        """Remove a member and deal the partitions anew."""
        if consumer in self._members[consumer.membership]:
            self._members[consumer.membership].remove(consumer)
            self._rebalance(consumer.membership)
        consumer.let_go()

    def expire(self, consumer: "InMemoryConsumer") -> None:
        """End a member's session: others take over, and it does not know until it joins again."""
        if consumer in self._members[consumer.membership]:
            self._members[consumer.membership].remove(consumer)
            self._rebalance(consumer.membership)

    def is_member(self, consumer: "InMemoryConsumer") -> bool:
        """Whether the group counts on it."""
        return consumer in self._members[consumer.membership]

    def check_name(self, consumer: "InMemoryConsumer") -> None:
        """Raise InstanceNameTaken when another member of the group has this one's name."""
        others = [member for member in self._members[consumer.membership] if member is not consumer]
        if consumer.instance is not None and consumer.instance in {other.instance for other in others}:
            raise InstanceNameTaken(f"the instance name {consumer.instance!r} is taken")

    def _rebalance_all(self, topic: str) -> None:
        for membership in list(self._members):
            if membership[0] == topic:
                self._rebalance(membership)

    def _rebalance(self, membership: tuple[str, str]) -> None:
        members = self._members[membership]
        for member in members:
            member.let_go()
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

    @property
    def size(self) -> int:
        """Bytes of keys and values."""
        return sum(len(key or b"") + len(value) for key, value, _ in self.records)


class InMemoryProducer:
    """Writes whole batches; in silence their acks never come."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self._broker = broker
        self._unanswered: list[tuple[asyncio.Future[Ack], InMemoryBatch, TopicPartition]] = []
        self._topic_ids: dict[str, uuid.UUID] = {}
        self.starts = 0

    async def start(self) -> None:
        """Connect; raises BrokerUnavailable while the broker is away."""
        self._broker.require()
        self._topic_ids.clear()
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
            self._write(batch, to, future)
        self._unanswered.clear()

    async def topic(self, name: str) -> Topic:
        """Return what the topic is now."""
        self._broker.require()
        topic = self._broker.topic(name)
        self._topic_ids.setdefault(name, topic.topic_id)
        return topic

    def new_batch(self) -> InMemoryBatch:
        """Return an empty batch."""
        return InMemoryBatch()

    async def send(self, batch: Batch, to: TopicPartition) -> "asyncio.Future[Ack]":
        """Append the batch in one go."""
        assert isinstance(batch, InMemoryBatch)  # noqa: S101 (batches come from new_batch)
        self._broker.require()
        if to.topic not in self._topic_ids:
            await self.topic(to.topic)
        if to not in self._broker.partitions(to.topic):
            raise BrokerUnavailable(f"partition {to.partition} of topic {to.topic!r} is not there any more")
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        if self._broker.silent or to.partition in self._broker.silent_partitions:
            self._unanswered.append((future, batch, to))
        elif batch.size > self._broker.max_batch_bytes:
            future.set_exception(BatchRefused("the batch is too large", too_large=True))
        else:
            self._write(batch, to, future)
        return future

    def _write(self, batch: InMemoryBatch, to: TopicPartition, answer: asyncio.Future[Ack]) -> None:
        topic_id = self._topic_ids[to.topic]
        if not self._broker.holds(to) or self._broker.identity(to).topic_id != topic_id:
            answer.set_exception(
                DeliveryUnknown(f"topic {to.topic!r} was deleted, and perhaps created again")
            )
            return
        stamp = int(self._broker.clock.now() * 1000)
        offsets = [
            self._broker.append(to, value, key=key, headers=headers, timestamp=stamp)
            for key, value, headers in batch.records
        ]
        answer.set_result(Ack(topic_id, offsets[0], stamp))


class InMemoryConsumer:
    """A group member; returns records of a partition only once a position was sought there."""

    def __init__(self, broker: InMemoryBroker, topic: str, group: str, instance: str | None = None) -> None:
        self._broker = broker
        self.membership = (topic, group)
        self.instance = instance
        self._listener: AssignmentListener | None = None
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._undecodable: set[TopicPartition] = set()

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group, unless a member of the same name is there."""
        self._broker.require()
        if not self._broker.partitions(self.membership[0]):
            raise UnknownTopic("the topic does not exist: run the migrations")
        self._broker.check_name(self)
        self._listener = listener
        self._broker.join(self)

    async def stop(self) -> None:
        """Leave the group."""
        self._broker.leave(self)

    async def check_name(self) -> None:
        """Raise InstanceNameTaken when another member has this one's name."""
        await self._broker.arrive()
        self._broker.check_name(self)

    def let_go(self) -> None:
        """Give up all partitions, telling the listener."""
        if self._listener is not None and self._assigned:
            self._listener.revoked(self._assigned)
        self._assigned, self._positions, self._paused = frozenset(), {}, set()
        self._undecodable.clear()

    def take(self, partitions: frozenset[TopicPartition]) -> None:
        """Own these partitions, telling the listener."""
        self._assigned, self._paused = partitions, set(partitions)
        if self._listener is not None:
            self._listener.assigned(partitions)

    async def poll(self, max_wait: float, max_bytes: int) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return what is there, or wait once for `max_wait` and look again."""
        self._broker.require()
        polled = self._drain(max_bytes)
        if not polled:
            await self._broker.clock.sleep(max_wait)
            self._broker.require()
            polled = self._drain(max_bytes)
        return polled

    def _drain(self, max_bytes: int) -> dict[TopicPartition, list[StoredRecord]]:
        polled: dict[TopicPartition, list[StoredRecord]] = {}
        for partition in list(self._positions):
            if max_bytes <= 0 or self._broker.deaf:
                break
            if partition not in self._paused | self._undecodable and self._broker.holds(partition):
                records = self._read(partition, max_bytes)
                max_bytes -= sum(map(record_bytes, records))
                if records:
                    polled[partition] = records
                    # Who was served goes to the end of the queue.
                    self._positions[partition] = self._positions.pop(partition)
        return polled

    def _read(self, partition: TopicPartition, max_bytes: int) -> list[StoredRecord]:
        log = self._broker.log_of(partition)
        position = self._positions[partition]
        if not log.start <= position <= log.end:
            position = log.start
        taken: list[StoredRecord] = []
        for record in log.records:
            if record.offset < position:
                continue
            if record.offset in log.undecodable:
                self._undecodable.add(partition)
            if max_bytes <= 0 or record.offset in log.undecodable:
                self._positions[partition] = taken[-1].offset + 1 if taken else position
                return taken
            taken.append(record)
            max_bytes -= record_bytes(record)
        self._positions[partition] = log.end
        return taken

    def position(self, partition: TopicPartition) -> int | None:
        """Return the offset after what was handed out or skipped."""
        return self._positions.get(partition)

    def undecodable(self, partition: TopicPartition) -> str | None:
        """Return why what stands at the partition's position cannot be decoded, or None."""
        return "the batch is garbage" if partition in self._undecodable else None

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from this offset."""
        self._undecodable.discard(partition)
        if partition in self._assigned:
            self._positions[partition] = offset

    def pause(self, partition: TopicPartition) -> None:
        """Return no more of this partition."""
        self._paused.add(partition)

    def resume(self, partition: TopicPartition) -> None:
        """Return this partition's records again."""
        self._paused.discard(partition)

    async def commit(self, partition: TopicPartition, offset: int, metadata: str) -> None:
        """Commit the next offset to read; a member whose session has run out cannot."""
        await self._broker.arrive()
        if not self._broker.is_member(self):
            raise BrokerUnavailable("the group goes on without this member")
        self._broker.log_of(partition)
        self._broker.commits[self.membership[1], partition] = Commit(offset, metadata)

    async def committed(self, partition: TopicPartition) -> Commit | None:
        """Return the group's commit or None."""
        await self._broker.arrive()
        return self._broker.commits.get((self.membership[1], partition))

    async def log_range(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the first offset still held and the offset after the last."""
        await self._broker.arrive()
        log = self._broker.log_of(partition)
        return log.start, log.end

    async def log_identities(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, LogIdentity]:
        """Return which log each partition serves."""
        await self._broker.arrive()
        return {partition: self._broker.identity(partition) for partition in partitions}
