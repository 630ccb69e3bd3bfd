"""The real group member: aiokafka's consumer, moved only by its owner."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError

from service_runtime.broker import (
    AssignmentListener,
    BrokerUnavailable,
    Record,
)
from service_runtime.kafka import (
    REQUEST_TIMEOUT_MS,
    STOP_SECONDS,
    client_options,
    start,
    unavailable,
    unknown_topic,
)
from service_runtime.settings import KafkaSettings

log = structlog.get_logger(__name__)


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
        self, kafka: KafkaSettings, *, group: str, instance: str | None, max_fetch_bytes: int
    ) -> None:
        self._kafka = kafka
        self._topic = kafka.kafka_topic
        self._build: Callable[[], AIOKafkaConsumer] = partial(
            AIOKafkaConsumer,
            **client_options(kafka),
            group_id=group,
            # A restarted member of the same name takes its partitions back without a rebalance.
            group_instance_id=instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # aiokafka implements the eager protocol only; this assignor spreads partitions evenly.
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
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
        await start(consumer, self._kafka)
        try:
            topics = await consumer.topics()
        except (KafkaError, OSError) as error:
            await consumer.stop()
            raise unavailable(error, self._kafka) from error
        if self._topic not in topics:  # for which aiokafka would wait in silence
            await consumer.stop()
            raise unknown_topic(self._topic, self._kafka)
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
        except KafkaError as error:
            raise unavailable(error, self._kafka) from error
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
            raise unavailable(error, self._kafka) from error

    async def committed(self, partition: TopicPartition) -> int | None:
        """Return the committed offset or None; raises BrokerUnavailable."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                offset: int | None = await self._running.committed(partition)
        except (KafkaError, TimeoutError) as error:
            raise unavailable(error, self._kafka) from error
        return offset

    async def log_range(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the first offset still held and the offset after the last; raises BrokerUnavailable."""
        try:
            first = await self._running.beginning_offsets([partition])
            last = await self._running.end_offsets([partition])
        except KafkaError as error:
            raise unavailable(error, self._kafka) from error
        return int(first[partition]), int(last[partition])
