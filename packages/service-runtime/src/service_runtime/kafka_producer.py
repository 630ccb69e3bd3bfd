"""The real producer: whole batches through aiokafka, idempotent, acks=all."""

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from uuid import UUID

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    BrokerResponseError,
    CorruptRecordException,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnsupportedForMessageFormatError,
    kafka_errors,
)

from service_runtime.broker import (
    Ack,
    Batch,
    BatchRefused,
    BrokerUnavailable,
    DeliveryUnknown,
    Headers,
    Topic,
)
from service_runtime.kafka import (
    NOT_ALLOWED,
    REQUEST_TIMEOUT_MS,
    STOP_SECONDS,
    client_options,
    not_now,
    start,
    unavailable,
    unknown_topic,
)
from service_runtime.kafka_produce import UnknownTopicIdError, produce_by_id
from service_runtime.kafka_topic_id import topic_now
from service_runtime.settings import KafkaSettings

log = structlog.get_logger(__name__)


class InvalidRecordError(BrokerResponseError):  # type: ignore[misc] # aiokafka has no types
    """The broker found a record that breaks a rule of its topic. aiokafka knows no such code."""

    errno = 87
    message = "INVALID_RECORD"
    description = "A record of the batch breaks a rule of its topic"


kafka_errors[InvalidRecordError.errno] = InvalidRecordError

# Never for this batch: what the broker looks at before it stores anything, and would find again.
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
INVALID = (
    CorruptRecordException,
    InvalidRecordError,
    InvalidTimestampError,
    UnsupportedForMessageFormatError,
)
# All brokers together, to say what a topic is.
METADATA_SECONDS = 2 * REQUEST_TIMEOUT_MS / 1000


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
        self._topic_ids: dict[str, UUID] = {}

    @property
    def _running(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise BrokerUnavailable("the producer is not connected")
        return self._producer

    async def start(self) -> None:
        """Connect; raises BrokerUnavailable."""
        producer = self._build()
        await start(producer, self._kafka)
        self._producer, self._topic_ids = producer, {}
        produce_by_id(producer.client, self._topic_ids)

    async def stop(self) -> None:
        """Disconnect; what no broker takes within seconds is dropped (its senders never saw an ack)."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            await asyncio.wait_for(producer.stop(), STOP_SECONDS)
        except Exception as error:
            log.warning("the producer stopped with batches unsent", error=repr(error))
        finally:
            await asyncio.shield(_end(producer))

    async def topic(self, name: str) -> Topic:
        """Ask the cluster what the topic is now; raises UnknownTopic or BrokerUnavailable."""
        client = self._running.client
        with not_now(self._kafka):
            # The client's own view is renewed: what is counted here is what can be sent to.
            async with asyncio.timeout(METADATA_SECONDS):
                if not await client.force_metadata_update():
                    raise BrokerUnavailable("no broker says what the topic is")
                if not client.cluster.partitions_for_topic(name):
                    raise unknown_topic(name, self._kafka)
                topic = await topic_now(client, name)
        self._topic_ids.setdefault(name, topic.topic_id)
        return topic

    def new_batch(self) -> KafkaBatch:
        """Return an empty batch; raises BrokerUnavailable while not connected."""
        return KafkaBatch(self._running)

    async def send(self, batch: Batch, to: TopicPartition) -> "asyncio.Future[Ack]":
        """Queue the batch; the future holds its ack."""
        assert isinstance(batch, KafkaBatch)  # noqa: S101 (batches come from new_batch)
        batch.builder.close()
        producer, topic_ids = self._running, self._topic_ids
        if to.topic not in topic_ids:
            await self.topic(to.topic)
        with not_now(self._kafka):
            if to.partition not in await producer.partitions_for(to.topic):
                raise BrokerUnavailable(
                    f"partition {to.partition} of topic {to.topic!r} is not there any more"
                )
            delivery = await producer.send_batch(batch.builder, to.topic, partition=to.partition)
        return asyncio.ensure_future(
            self._acknowledged(delivery, producer, to, topic_ids[to.topic], len(batch))
        )

    async def _acknowledged(
        self,
        delivery: "asyncio.Future[object]",
        producer: AIOKafkaProducer,
        to: TopicPartition,
        topic_id: UUID,
        count: int,
    ) -> Ack:
        try:
            metadata = await delivery
        except UnknownTopicIdError as error:
            raise DeliveryUnknown(f"topic {to.topic!r} was deleted, and perhaps created again") from error
        except NOT_ALLOWED as error:
            raise unavailable(error, self._kafka) from error
        except (*TOO_LARGE, *INVALID) as error:
            # The broker did not count the batch; Java's producer takes its sequence numbers back as well.
            producer._txn_manager.increment_sequence_number(to, -count)
            raise BatchRefused(error.message, too_large=isinstance(error, TOO_LARGE)) from error
        except Exception as error:
            raise DeliveryUnknown(f"{type(error).__name__}: {error}") from error
        offset, timestamp = int(metadata.offset), int(metadata.timestamp)  # type: ignore[attr-defined]
        if offset < 0:
            # The broker saw the batch before (a retry) but no longer remembers where it put it.
            raise DeliveryUnknown("the broker has the batch but not its position")
        return Ack(topic_id, offset, timestamp)


async def _end(producer: AIOKafkaProducer) -> None:
    """End what aiokafka's `stop` leaves running when it is given up: a sender that sends for ever."""
    owners = (producer, producer._sender, producer._message_accumulator)
    tasks = {task for task in asyncio.all_tasks() if _owner(task) in owners}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    await producer.client.close()


def _owner(task: "asyncio.Task[object]") -> object:
    """Return the object whose method the task runs."""
    return inspect.getcoroutinelocals(task.get_coro()).get("self")  # type: ignore[arg-type]
