"""What the services ask of Kafka.

`kafka_producer.py` and `kafka_consumer.py` are the real thing, `testing.broker` the fake;
`testing.broker_suite` proves both.
"""

import asyncio
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiokafka import TopicPartition

Headers = list[tuple[str, bytes]]


class BrokerUnavailable(Exception):  # noqa: N818 (a state of the world, not a mistake)
    """Not now: no broker answered, or it refused for a reason that passes. Trying again is right."""


class UnknownTopic(BrokerUnavailable):
    """Not now: the topic does not exist (yet); migrations create it."""


class LoginRefused(BrokerUnavailable):
    """Not now: no such user, or another password (yet); migrations set both."""


class DeliveryUnknown(BrokerUnavailable):
    """A batch was handed over and no acknowledgement came: it may or may not be in the log."""


class BatchRefused(Exception):  # noqa: N818 (an answer, not a mistake)
    """Never for this batch: the broker stored nothing of it and will refuse it again; others it takes.

    A batch of several records is refused for any of them: sent in parts, the others are taken.
    """

    def __init__(self, why: str, *, too_large: bool) -> None:
        super().__init__(why)
        self.too_large = too_large


class InstanceNameTaken(BrokerUnavailable):
    """Not now: another living member of the group has this instance's name."""


class Record(Protocol):
    """A record as read from a partition."""

    @property
    def offset(self) -> int:
        """Position in the partition."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch; the broker's append time on `pins`."""

    @property
    def key(self) -> bytes | None:
        """Partitioning key."""

    @property
    def value(self) -> bytes | None:
        """The payload; None is a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Header names and values, in order; Kafka allows a header without a value."""


def partition_name(partition: TopicPartition) -> str:
    """Return the partition as health and logs name it, `pins-0`."""
    return f"{partition.topic}-{partition.partition}"


def record_bytes(record: Record) -> int:
    """Return the size of the record's key, value and headers, uncompressed."""
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


@dataclass(frozen=True, slots=True)
class Topic:
    """What a name stands for now: a topic that is created again has another id, and other logs."""

    topic_id: uuid.UUID
    partitions: int


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log a partition's offsets count in.

    A topic that is created again has another id. The leader epoch rises with each election: only then
    may a log of the same id have lost its end and grown again.
    """

    topic_id: uuid.UUID
    leader_epoch: int


@dataclass(frozen=True, slots=True)
class Commit:
    """The next offset to read, and what its owner wrote beside it; Kafka's own tools write ""."""

    offset: int
    metadata: str


@dataclass(frozen=True, slots=True)
class Ack:
    """All in-sync replicas have the batch: its topic, its first record's offset, the append time in ms."""

    topic_id: uuid.UUID
    base_offset: int
    timestamp: int


class Batch(Protocol):
    """Records on their way to one partition."""

    def append(self, key: bytes | None, value: bytes, headers: Headers) -> bool:
        """Add a record; False when the batch is full (and now closed)."""

    def __len__(self) -> int:
        """Return the number of records."""


class BatchProducer(Protocol):
    """An idempotent acks=all producer that is handed whole batches.

    From `start` to `stop` it writes into one log a partition: that of the topic as it was when it was first
    asked for. What is sent after the topic was created again is never acknowledged; `start` begins anew.
    """

    async def start(self) -> None:
        """Connect; raises BrokerUnavailable."""

    async def stop(self) -> None:
        """Disconnect, dropping what was not acknowledged."""

    async def topic(self, name: str) -> Topic:
        """Ask the cluster what the topic is now; raises UnknownTopic or BrokerUnavailable."""

    def new_batch(self) -> Batch:
        """Return an empty batch."""

    async def send(self, batch: Batch, to: TopicPartition) -> "asyncio.Future[Ack]":
        """Queue the batch and return the future of its ack, failing with BatchRefused or DeliveryUnknown.

        Returns once the partition's earlier batch has left the queue; raises BrokerUnavailable, also for a
        partition that is not there any more. Cancelled or failed before it returns, nothing was sent.
        """


class AssignmentListener(Protocol):
    """Told which partitions this member of the group owns. Both calls must return at once."""

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Take over partitions; all of them are paused until they are sought and resumed.

        Called after every rebalance, also with none: this member then owns nothing.
        """

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Let go of partitions: another member reads them from now on."""


class GroupConsumer(Protocol):
    """A group member whose position is decided by its owner, never by the group's commits."""

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group; raises InstanceNameTaken, UnknownTopic or BrokerUnavailable."""

    async def stop(self) -> None:
        """Leave the group."""

    async def check_name(self) -> None:
        """Raise InstanceNameTaken when another member goes by this one's name and was there first."""

    async def poll(self, max_wait: float, max_bytes: int) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return what has arrived within `max_wait` seconds, in offset order a partition.

        All records together hold `max_bytes` at most (`record_bytes`), and one record more.
        """

    def undecodable(self, partition: TopicPartition) -> str | None:
        """Return why what stands at the partition's position cannot be decoded, or None.

        Nothing more of the partition is returned until a position is sought; the others go on.
        """

    def position(self, partition: TopicPartition) -> int | None:
        """Return the offset after all that was handed out or skipped, such as transaction markers.

        None before a position was sought. It moves by `poll`. The log may end before it or begin behind
        it; the partition is then read from its first offset.
        """

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from this offset; ignored when the partition has moved away."""

    def pause(self, partition: TopicPartition) -> None:
        """Return no more of this partition; ignored when it has moved away."""

    def resume(self, partition: TopicPartition) -> None:
        """Return this partition's records again; ignored when it has moved away."""

    async def commit(self, partition: TopicPartition, offset: int, metadata: str) -> None:
        """Commit the next offset to read; raises BrokerUnavailable."""

    async def committed(self, partition: TopicPartition) -> Commit | None:
        """Return the group's commit or None; raises BrokerUnavailable."""

    async def log_range(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the first offset still held and the offset after the last; raises BrokerUnavailable."""

    async def log_identities(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, LogIdentity]:
        """Ask each partition's leader which log it serves.

        Raises UnknownTopic, which proves nothing (the topic may come back), or BrokerUnavailable.
        """
