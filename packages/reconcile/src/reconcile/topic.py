"""What the topic holds."""

from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord
from service_runtime.kafka import client_options
from service_runtime.settings import KafkaSettings

from reconcile.offsets import OffsetRange


async def log_ends(kafka: KafkaSettings, topic: str) -> dict[int, int]:
    """Return the offset after the last record of every partition."""
    async with AIOKafkaConsumer(topic, **client_options(kafka)) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
    return {partition.partition: int(end) for partition, end in ends.items()}


async def since(kafka: KafkaSettings, topic: str, moment: datetime) -> OffsetRange:
    """Return the offsets of all records appended at or after the moment."""
    async with AIOKafkaConsumer(topic, **client_options(kafka)) as consumer:
        partitions = consumer.assignment()
        ends = await consumer.end_offsets(partitions)
        moment_ms = round(moment.timestamp() * 1000)
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, moment_ms))
    starts = {tp.partition: found[tp].offset if found[tp] else ends[tp] for tp in partitions}
    return OffsetRange(starts, {tp.partition: int(end) for tp, end in ends.items()})


async def read_topic(kafka: KafkaSettings, topic: str, span: OffsetRange) -> list[ConsumerRecord]:
    """Return the records of the range, whatever the groups have committed."""
    records: list[ConsumerRecord] = []
    left = {TopicPartition(topic, p) for p, end in span.end.items() if end > span.start.get(p, 0)}
    if not left:
        return records
    async with AIOKafkaConsumer(**client_options(kafka)) as consumer:
        consumer.assign(left)
        for partition in left:
            consumer.seek(partition, span.start.get(partition.partition, 0))
        while left:
            for polled in (await consumer.getmany(timeout_ms=500)).values():
                records.extend(record for record in polled if (record.partition, record.offset) in span)
            done = {tp for tp in left if await consumer.position(tp) >= span.end[tp.partition]}
            consumer.pause(*done)
            left -= done
    return records
