"""A bare consumer process: polls a number of records, drops them, and says what it took at its peak."""

import asyncio
import json
import sys
from pathlib import Path

from aiokafka import TopicPartition
from service_runtime.broker import record_bytes
from service_runtime.kafka_consumer import KafkaGroupConsumer
from service_runtime.settings import KafkaSettings


class SeekToStart:
    """Reads each partition from its start."""

    def __init__(self, consumer: KafkaGroupConsumer) -> None:
        self._consumer = consumer

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        for partition in partitions:
            self._consumer.seek(partition, 0)
            self._consumer.resume(partition)

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        pass


def peak_bytes() -> int:
    """Return the peak RSS; getrusage would tell that of the parent, from before the exec."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
    return int(line.split()[1]) * 1024


async def poll_and_drop(address: str, topic: str, count: int, max_bytes: int) -> dict[str, int]:
    kafka = KafkaSettings(kafka_bootstrap_servers=address, kafka_topic=topic)
    fetch = 4 * 1024 * 1024
    consumer = KafkaGroupConsumer(kafka, group=f"{topic}-drop", instance=None, max_fetch_bytes=fetch)
    await consumer.start(SeekToStart(consumer))
    before, records, total, largest_poll = peak_bytes(), 0, 0, 0
    while records < count:
        polled = await consumer.poll(0.2, max_bytes)
        sizes = [record_bytes(record) for batch in polled.values() for record in batch]
        records, total, largest_poll = records + len(sizes), total + sum(sizes), max(largest_poll, sum(sizes))
    await consumer.stop()
    return {
        "records": records,
        "bytes": total,
        "largest_poll": largest_poll,
        "peak_before": before,
        "peak": peak_bytes(),
    }


if __name__ == "__main__":
    address, topic, count, max_bytes = sys.argv[1:]
    print(json.dumps(asyncio.run(poll_and_drop(address, topic, int(count), int(max_bytes)))))  # noqa: T201
