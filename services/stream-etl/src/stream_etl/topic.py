"""The topic as Kafka has it now: what its partitions hold, and one record where proof is asked for."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from service_runtime.broker import LogIdentity
from service_runtime.kafka import REQUEST_TIMEOUT_MS, client_options, not_now, start, unknown_topic
from service_runtime.kafka_topic_id import log_identities
from service_runtime.settings import KafkaSettings

from stream_etl.resume import LogRange

_EPOCH = datetime.fromtimestamp(0, UTC)


class Topic:
    """Asks Kafka without a group: Spark keeps the position. Every question raises BrokerUnavailable."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.name = kafka.kafka_topic
        self._kafka = kafka
        self._consumer: AIOKafkaConsumer | None = None

    async def ranges(self) -> Mapping[int, LogRange]:
        """What each partition holds."""
        async with self._asking() as consumer:
            partitions = await self._partitions(consumer)
            starts = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
        return {p.partition: LogRange(starts[p], ends[p]) for p in partitions}

    async def identities(self) -> Mapping[int, LogIdentity]:
        """Which log each partition belongs to, as its leader says."""
        async with self._asking() as consumer:
            found = await log_identities(consumer._client, await self._partitions(consumer))
        return {partition.partition: identity for partition, identity in found.items()}

    async def _partitions(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        if self.name not in await consumer.topics():
            raise unknown_topic(self.name, self._kafka)
        # aiokafka learns a topic's partitions from a question about one of them.
        first = TopicPartition(self.name, 0)
        if not consumer.assignment():
            consumer.assign([first])
            consumer.pause(first)
        await consumer.end_offsets([first])
        return [TopicPartition(self.name, p) for p in consumer.partitions_for_topic(self.name)]

    async def event_time(self, partition: int, offset: int) -> datetime | None:
        """The event time of the record at an offset within the log; None when none is there."""
        async with self._asking() as consumer:
            place = TopicPartition(self.name, partition)
            consumer.assign([place])
            consumer.seek(place, offset)
            record = await consumer.getone(place)
            consumer.pause(place)
        if record.offset != offset:
            return None
        return _EPOCH + timedelta(milliseconds=record.timestamp)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[AIOKafkaConsumer]:
        with not_now(self._kafka):
            async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                if self._consumer is None:
                    self._consumer = await self._connected()
                yield self._consumer

    async def _connected(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            **client_options(self._kafka), group_id=None, enable_auto_commit=False, auto_offset_reset="none"
        )
        await start(consumer, self._kafka)
        return consumer

    async def close(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await self._consumer.stop()
