"""What the topic holds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.structs import ConsumerRecord
from pin_schema.logs import log_name
from service_runtime.broker import BrokerUnavailable
from service_runtime.kafka import client_options, start, unavailable
from service_runtime.kafka_topic_id import log_identities
from service_runtime.settings import KafkaSettings

from reconcile.errors import DemoError
from reconcile.offsets import OffsetRange

# Far longer than an election of leaders.
SILENT_SECONDS = 60.0

T = TypeVar("T")


async def topic_log(kafka: KafkaSettings, topic: str) -> str:
    """Return the short name of the log that the topic has now; raises DemoError."""

    async def log(consumer: AIOKafkaConsumer) -> str:
        identities = await log_identities(consumer._client, consumer.assignment())
        return log_name(next(iter(identities.values())).topic_id)

    return await _asked(kafka, topic, log)


async def log_ends(kafka: KafkaSettings, topic: str) -> dict[int, int]:
    """Return the offset after the last record of every partition; raises DemoError."""

    async def ends(consumer: AIOKafkaConsumer) -> dict[int, int]:
        found = await consumer.end_offsets(consumer.assignment())
        return {partition.partition: int(end) for partition, end in found.items()}

    return await _asked(kafka, topic, ends)


async def since(kafka: KafkaSettings, topic: str, moment: datetime) -> OffsetRange:
    """Return the offsets of all records appended at or after the moment; raises DemoError."""

    async def span(consumer: AIOKafkaConsumer) -> OffsetRange:
        partitions = consumer.assignment()
        ends = await consumer.end_offsets(partitions)
        moment_ms = round(moment.timestamp() * 1000)
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, moment_ms))
        starts = {tp.partition: found[tp].offset if found[tp] else ends[tp] for tp in partitions}
        return OffsetRange(starts, {tp.partition: int(end) for tp, end in ends.items()})

    return await _asked(kafka, topic, span)


async def read_topic(kafka: KafkaSettings, topic: str, span: OffsetRange) -> list[ConsumerRecord]:
    """Return the records of the range, whatever the groups have committed; raises DemoError."""
    records: list[ConsumerRecord] = []
    left = {TopicPartition(topic, p) for p, end in span.end.items() if end > span.start.get(p, 0)}
    if not left:
        return records
    clock = asyncio.get_running_loop().time
    async with _reading(kafka) as consumer:
        consumer.assign(left)
        for partition in left:
            consumer.seek(partition, span.start.get(partition.partition, 0))
        heard = clock()
        while left:
            for polled in (await consumer.getmany(timeout_ms=500)).values():
                records.extend(record for record in polled if (record.partition, record.offset) in span)
                heard = clock()
            if clock() - heard > SILENT_SECONDS:
                raise DemoError(f"Kafka gave no record of {_named(left)} for {SILENT_SECONDS:g} s: is it up?")
            done = {tp for tp in left if await consumer.position(tp) >= span.end[tp.partition]}
            consumer.pause(*done)
            left -= done
    return records


async def _asked(kafka: KafkaSettings, topic: str, question: Callable[[AIOKafkaConsumer], Awaitable[T]]) -> T:
    """Ask again while a leader does not answer: the next one has to be elected first."""
    clock = asyncio.get_running_loop().time
    give_up = clock() + SILENT_SECONDS
    while True:
        async with _reading(kafka, topic) as consumer:
            try:
                return await question(consumer)
            except KafkaTimeoutError:
                if clock() > give_up:
                    raise


@asynccontextmanager
async def _reading(kafka: KafkaSettings, *topics: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer without a group; what Kafka refuses or does not answer in the block is a DemoError."""
    consumer = AIOKafkaConsumer(*topics, **client_options(kafka))
    try:
        await start(consumer, kafka)
        try:
            yield consumer
        finally:
            await consumer.stop()
    except (BrokerUnavailable, KafkaError) as error:
        why = error if isinstance(error, BrokerUnavailable) else unavailable(error, kafka)
        raise DemoError(f"Kafka at {kafka.kafka_bootstrap_servers}: {why}") from error


def _named(partitions: set[TopicPartition]) -> str:
    return ", ".join(f"{tp.topic}-{tp.partition}" for tp in sorted(partitions))
