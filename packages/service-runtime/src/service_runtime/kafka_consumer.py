"""The real group member: aiokafka's consumer, moved only by its owner."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, OffsetAndMetadata, TopicPartition
from aiokafka.errors import IllegalStateError

from service_runtime.broker import (
    AssignmentListener,
    BrokerUnavailable,
    Commit,
    InstanceNameTaken,
    LogIdentity,
    Record,
    record_bytes,
)
from service_runtime.kafka import (
    REQUEST_TIMEOUT_MS,
    STOP_SECONDS,
    client_options,
    not_now,
    start,
    unknown_topic,
)
from service_runtime.kafka_fetched import read_fetched, wait_for_fetched
from service_runtime.kafka_instance import Holder, InstanceName, NamedAssignor
from service_runtime.kafka_rebalance import Rebalance
from service_runtime.kafka_topic_id import log_identities
from service_runtime.settings import KafkaSettings

log = structlog.get_logger(__name__)

# How long a topic that was created again with other partitions goes unnoticed; aiokafka's default is 300 s.
METADATA_MAX_AGE_MS = 10_000
SESSION_TIMEOUT_MS = 6_000
PARTITION_FETCH_BYTES = 1024 * 1024
REQUEST_SECONDS = REQUEST_TIMEOUT_MS / 1000


class KafkaGroupConsumer:
    """A group member that returns nothing of a partition until its owner has sought a position there."""

    def __init__(
        self, kafka: KafkaSettings, *, group: str, instance: str | None, max_fetch_bytes: int
    ) -> None:
        self._kafka = kafka
        self._topic = kafka.kafka_topic
        holder = Holder()
        self._name = None if instance is None else InstanceName(group, instance, holder)
        self._build: Callable[[], AIOKafkaConsumer] = partial(
            AIOKafkaConsumer,
            **client_options(kafka),
            group_id=group,
            # A restarted member of the same name takes its partitions back without a rebalance.
            group_instance_id=instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # aiokafka implements the eager protocol only; this assignor spreads partitions evenly.
            partition_assignment_strategy=(NamedAssignor(holder),),
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=1_000,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
            fetch_max_bytes=max_fetch_bytes,
            # aiokafka holds that much of each partition, and asks for more meanwhile.
            max_partition_fetch_bytes=min(max_fetch_bytes, PARTITION_FETCH_BYTES),
        )
        self._consumer: AIOKafkaConsumer | None = None
        self._evicted_by: InstanceNameTaken | None = None
        # Those with a position, in the order in which they are served.
        self._positioned: deque[TopicPartition] = deque()
        # Of these, why what stands at the position cannot be decoded.
        self._undecodable: dict[TopicPartition, str] = {}

    @property
    def _running(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise BrokerUnavailable("the consumer is not connected")
        return self._consumer

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group; raises InstanceNameTaken, UnknownTopic or BrokerUnavailable."""
        consumer = self._build()
        await start(consumer, self._kafka)
        try:
            await self._require_topic(consumer)
            await self._wait_for_name(consumer)
        except BaseException:
            await consumer.stop()
            raise
        self._consumer, self._evicted_by = consumer, None
        consumer.subscribe([self._topic], listener=Rebalance(self, listener))

    async def _require_topic(self, consumer: AIOKafkaConsumer) -> None:
        with not_now(self._kafka):
            topics = await consumer.topics()
        if self._topic not in topics:  # for which aiokafka would wait in silence
            raise unknown_topic(self._topic, self._kafka)

    async def _wait_for_name(self, consumer: AIOKafkaConsumer) -> None:
        if self._name is not None:
            with not_now(self._kafka):
                await self._name.wait_for(consumer._client, SESSION_TIMEOUT_MS / 1000)

    async def stop(self) -> None:
        """Leave the group, or give up leaving after seconds: the session runs out by itself."""
        consumer, self._consumer = self._consumer, None
        self.unposition()
        if consumer is None:
            return
        try:
            with not_now(self._kafka):
                await asyncio.wait_for(consumer.stop(), STOP_SECONDS)
        except BrokerUnavailable as error:
            log.warning("the consumer could not leave its group", error=repr(error))

    def unposition(self) -> None:
        """Return nothing more until positions are sought again."""
        self._positioned.clear()
        self._undecodable.clear()

    async def check_name(self) -> None:
        """Raise InstanceNameTaken when another member goes by this one's name and was there first."""
        client = self._running._client
        if self._evicted_by is not None:
            raise self._evicted_by
        if self._name is not None:
            with not_now(self._kafka):
                async with asyncio.timeout(REQUEST_SECONDS):
                    await self._name.check(client)

    async def look_who_evicted(self) -> None:
        """Look who has this member's name, before it joins again and evicts him: later looks may miss him."""
        try:
            await self.check_name()
        except InstanceNameTaken as taken:
            self._evicted_by = taken
        except BrokerUnavailable as error:
            log.info("who has this member's name is asked later", why=str(error))

    async def poll(self, max_wait: float, max_bytes: int) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return what has arrived within `max_wait` seconds; raises BrokerUnavailable."""
        with not_now(self._kafka):
            await wait_for_fetched(self._running, self._readable(), max_wait)
        polled: dict[TopicPartition, Sequence[Record]] = {}
        for partition in self._readable():
            try:
                records = self._read(partition, max_bytes)
            except BrokerUnavailable:
                if not polled:
                    raise
                continue  # what was read already is behind its partition's position: it must be returned
            if records:
                polled[partition] = records
                max_bytes -= sum(map(record_bytes, records))
            if max_bytes <= 0:
                break
        return polled

    def _readable(self) -> list[TopicPartition]:
        # Between an assignment and its listener's call aiokafka may fetch from the committed offset.
        return [partition for partition in self._positioned if partition not in self._undecodable]

    def _read(self, partition: TopicPartition, max_bytes: int) -> Sequence[Record]:
        with not_now(self._kafka):
            records, why_no_more = read_fetched(self._running, partition, max_bytes)
        if why_no_more is not None:
            self._undecodable[partition] = why_no_more
        if records:
            # Who was served goes to the end of the queue.
            self._positioned.remove(partition)
            self._positioned.append(partition)
        return records

    def undecodable(self, partition: TopicPartition) -> str | None:
        """Return why what stands at the partition's position cannot be decoded, or None."""
        return self._undecodable.get(partition)

    def position(self, partition: TopicPartition) -> int | None:
        """Return the offset after all that was handed out or skipped."""
        if self._consumer is None or partition not in self._positioned:
            return None
        with not_now(self._kafka):
            state = self._consumer._subscription.subscription.assignment.state_value(partition)
            offset: int | None = state.position if state and state.has_valid_position else None
        return offset

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from this offset."""
        self._undecodable.pop(partition, None)
        if self._if_assigned(lambda consumer: consumer.seek(partition, offset)) and (
            partition not in self._positioned
        ):
            self._positioned.append(partition)

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

    async def commit(self, partition: TopicPartition, offset: int, metadata: str) -> None:
        """Commit the next offset to read; raises BrokerUnavailable."""
        consumer = self._running
        with not_now(self._kafka):
            async with asyncio.timeout(REQUEST_SECONDS):
                await consumer.commit({partition: OffsetAndMetadata(offset, metadata)})

    async def committed(self, partition: TopicPartition) -> Commit | None:
        """Return the group's commit or None; raises BrokerUnavailable."""
        coordinator = self._running._coordinator
        with not_now(self._kafka):
            async with asyncio.timeout(REQUEST_SECONDS):
                found = (await coordinator.fetch_committed_offsets([partition])).get(partition)
        return None if found is None or found.offset < 0 else Commit(found.offset, found.metadata or "")

    async def log_range(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the first offset still held and the offset after the last; raises BrokerUnavailable."""
        consumer = self._running
        with not_now(self._kafka):
            first = await consumer.beginning_offsets([partition])
            last = await consumer.end_offsets([partition])
            return int(first[partition]), int(last[partition])

    async def log_identities(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, LogIdentity]:
        """Ask each partition's leader which log it serves; raises UnknownTopic or BrokerUnavailable."""
        client = self._running._client
        with not_now(self._kafka):
            async with asyncio.timeout(REQUEST_SECONDS):
                return await log_identities(client, partitions)
