"""The real producer: whole batches through aiokafka, idempotent, acks=all."""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from service_runtime.broker import (
    Ack,
    Batch,
    BrokerUnavailable,
    DeliveryUnknown,
    Headers,
)
from service_runtime.kafka import (
    NOT_ALLOWED,
    STOP_SECONDS,
    client_options,
    start,
    unavailable,
    unknown_topic,
)
from service_runtime.settings import KafkaSettings

log = structlog.get_logger(__name__)


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

    def __init__(self, kafka: KafkaSettings, *, compression: str | None, max_batch_bytes: int) -> None:
        self._kafka = kafka
        self._build: Callable[[], AIOKafkaProducer] = partial(
            AIOKafkaProducer,
            **client_options(kafka),
            acks="all",
            enable_idempotence=True,
            compression_type=compression,
            max_batch_size=max_batch_bytes,
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
        await start(producer, self._kafka)
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
            raise unavailable(error, self._kafka) from error
        partitions = cluster.partitions_for_topic(topic)
        if not partitions:
            raise unknown_topic(topic, self._kafka)
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
            raise unavailable(error, self._kafka) from error
        return asyncio.ensure_future(self._acknowledged(delivery))

    async def _acknowledged(self, delivery: "asyncio.Future[object]") -> Ack:
        try:
            metadata = await delivery
        except NOT_ALLOWED as error:
            raise unavailable(error, self._kafka) from error
        except KafkaError as error:
            raise DeliveryUnknown(f"{type(error).__name__}: {error}") from error
        offset, timestamp = int(metadata.offset), int(metadata.timestamp)  # type: ignore[attr-defined]
        if offset < 0:
            # The broker saw the batch before (a retry) but no longer remembers where it put it.
            raise DeliveryUnknown("the broker has the batch but not its position")
        return Ack(offset, timestamp)
