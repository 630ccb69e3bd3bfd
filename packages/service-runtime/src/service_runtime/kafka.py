"""The real broker: aiokafka behind the protocols of `broker.py`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import (
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

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

log = structlog.get_logger(__name__)

# A request that a stalled broker never answers is given up after this long and tried again.
REQUEST_TIMEOUT_MS = 5_000
STOP_SECONDS = 5.0


def _unavailable(error: Exception) -> BrokerUnavailable:
    if isinstance(error, UnknownTopicOrPartitionError):
        return UnknownTopic("the topic does not exist: run the migrations")
    return BrokerUnavailable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


class KafkaBatch:
    """aiokafka's batch builder."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.builder = producer.create_batch()

    def append(self, key: bytes | None, value: bytes, headers: Headers) -> bool:
        """Add a record; False when the batch is full."""
        return self.builder.append(timestamp=None, key=key, value=value, headers=headers) is not None

    def __len__(self) -> int:
        return int(self.builder.record_count())


class KafkaProducer:
    """An idempotent producer; `start` after a failure builds a new one, since aiokafka's never recovers."""

    def __init__(self, bootstrap_servers: str, *, compression: str | None, max_batch_bytes: int) -> None:
        self._build: Callable[[], AIOKafkaProducer] = partial(
            AIOKafkaProducer,
            bootstrap_servers=bootstrap_servers,
            acks="all",
            enable_idempotence=True,
            compression_type=compression,
            max_batch_size=max_batch_bytes,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        self._producer: AIOKafkaProducer | None = None

    @property
    def _running(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise BrokerUnavailable("the producer is not connected")
        return self._producer

    async def start(self) -> None:
        """Connect; raises BrokerUnavailable."""
        producer = self._build()
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise _unavailable(error) from error
        self._producer = producer

    async def stop(self) -> None:
        """Disconnect; what no broker takes within seconds is dropped (its senders never saw an ack)."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            await asyncio.wait_for(producer.stop(), STOP_SECONDS)
        except (TimeoutError, KafkaError) as error:
            log.warning("the producer stopped with batches unsent", error=repr(error))

    async def partition_count(self, topic: str) -> int:
        """Ask the cluster how many partitions the topic has; raises UnknownTopic or BrokerUnavailable."""
        try:
            cluster = await self._running.client.fetch_all_metadata()
        except (KafkaError, OSError) as error:
            raise _unavailable(error) from error
        partitions = cluster.partitions_for_topic(topic)
        if not partitions:
            raise UnknownTopic(f"topic {topic!r} does not exist: run the migrations")
        return len(partitions)

    def new_batch(self) -> KafkaBatch:
        """Return an empty batch; raises BrokerUnavailable while not connected."""
        return KafkaBatch(self._running)

    async def send(self, batch: Batch, to: TopicPartition) -> "asyncio.Future[Ack]":
        """Queue the batch; the future holds its ack."""
        assert isinstance(batch, KafkaBatch)  # noqa: S101 (batches come from new_batch)
        batch.builder.close()
        try:
            delivery = await self._running.send_batch(batch.builder, to.topic, partition=to.partition)
        except (KafkaError, OSError) as error:
            raise _unavailable(error) from error
        return asyncio.ensure_future(_acknowledged(delivery))


async def _acknowledged(delivery: "asyncio.Future[object]") -> Ack:
    try:
        metadata = await delivery
    except KafkaError as error:
        raise DeliveryUnknown(f"{type(error).__name__}: {error}") from error
    offset, timestamp = int(metadata.offset), int(metadata.timestamp)  # type: ignore[attr-defined]
    if offset < 0:
        # The broker saw the batch before (a retry) but no longer remembers where it put it.
        raise DeliveryUnknown("the broker has the batch but not its position")
    return Ack(offset, timestamp)


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """Keeps the positioned set right and tells the owner, without ever blocking the group's heartbeat."""

    def __init__(self, consumer: "KafkaGroupConsumer", listener: AssignmentListener) -> None:
        self._consumer = consumer
        self._listener = listener

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._consumer.unposition()
        self._listener.revoked(frozenset(revoked))

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._consumer.unposition()
        for partition in assigned:
            self._consumer.pause(partition)
        self._listener.assigned(frozenset(assigned))


class KafkaGroupConsumer:
    """A group member that returns nothing of a partition until its owner has sought a position there."""

    def __init__(
        self, bootstrap_servers: str, *, topic: str, group: str, instance: str | None, max_fetch_bytes: int
    ) -> None:
        self._topic = topic
        self._build: Callable[[], AIOKafkaConsumer] = partial(
            AIOKafkaConsumer,
            bootstrap_servers=bootstrap_servers,
            group_id=group,
            # A restarted member of the same name takes its partitions back without a rebalance.
            group_instance_id=instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # aiokafka implements the eager protocol only; this assignor spreads partitions evenly.
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            fetch_max_bytes=max_fetch_bytes,
            max_partition_fetch_bytes=max_fetch_bytes,
        )
        self._consumer: AIOKafkaConsumer | None = None
        self._positioned: set[TopicPartition] = set()

    @property
    def _running(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise BrokerUnavailable("the consumer is not connected")
        return self._consumer

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group; raises BrokerUnavailable."""
        consumer = self._build()
        try:
            await consumer.start()
            topics = await consumer.topics()
        except (KafkaError, OSError) as error:
            await consumer.stop()
            raise _unavailable(error) from error
        if self._topic not in topics:  # for which aiokafka would wait in silence
            await consumer.stop()
            raise UnknownTopic(f"topic {self._topic!r} does not exist: run the migrations")
        self._consumer = consumer
        consumer.subscribe([self._topic], listener=_Rebalance(self, listener))

    async def stop(self) -> None:
        """Leave the group, or give up leaving after seconds: the session runs out by itself."""
        consumer, self._consumer = self._consumer, None
        self.unposition()
        if consumer is None:
            return
        try:
            await asyncio.wait_for(consumer.stop(), STOP_SECONDS)
        except (TimeoutError, KafkaError) as error:
            log.warning("the consumer could not leave its group", error=repr(error))

    def unposition(self) -> None:
        """Return nothing more until positions are sought again."""
        self._positioned.clear()

    async def poll(self, max_wait: float) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return what has arrived within `max_wait` seconds; raises BrokerUnavailable."""
        try:
            polled = await self._running.getmany(timeout_ms=int(max_wait * 1000))
        except TopicAuthorizationFailedError as error:
            raise BrokerUnavailable(f"not allowed to read: {error}") from error
        except KafkaError as error:
            raise _unavailable(error) from error
        # Between an assignment and its listener's call aiokafka may fetch from the committed offset.
        return {partition: records for partition, records in polled.items() if partition in self._positioned}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from this offset."""
        if self._if_assigned(lambda consumer: consumer.seek(partition, offset)):
            self._positioned.add(partition)

    def pause(self, partition: TopicPartition) -> None:
        """Return no more of this partition."""
        self._if_assigned(lambda consumer: consumer.pause(partition))

    def resume(self, partition: TopicPartition) -> None:
        """Return this partition's records again."""
        self._if_assigned(lambda consumer: consumer.resume(partition))

    def _if_assigned(self, action: Callable[[AIOKafkaConsumer], None]) -> bool:
        if self._consumer is None:
            return False
        try:
            action(self._consumer)
        except IllegalStateError:
            return False
        return True

    async def commit(self, partition: TopicPartition, offset: int) -> None:
        """Commit the next offset to read; raises BrokerUnavailable."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                await self._running.commit({partition: offset})
        except (KafkaError, TimeoutError) as error:
            raise _unavailable(error) from error

    async def committed(self, partition: TopicPartition) -> int | None:
        """Return the committed offset or None; raises BrokerUnavailable."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                offset: int | None = await self._running.committed(partition)
        except (KafkaError, TimeoutError) as error:
            raise _unavailable(error) from error
        return offset

    async def log_range(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the first offset still held and the offset after the last; raises BrokerUnavailable."""
        try:
            first = await self._running.beginning_offsets([partition])
            last = await self._running.end_offsets([partition])
        except (KafkaError, KafkaConnectionError) as error:
            raise _unavailable(error) from error
        return int(first[partition]), int(last[partition])
