"""A group member of an instance name, as a process: says a line for each thing that happens to it."""

import asyncio
import sys

from aiokafka import TopicPartition
from service_runtime.broker import BrokerUnavailable
from service_runtime.kafka_consumer import KafkaGroupConsumer
from service_runtime.settings import KafkaSettings


def say(what: str) -> None:
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


class Speaker:
    """Says what is assigned."""

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        say(f"assigned {len(partitions)}")

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        say(f"revoked {len(partitions)}")


async def take_part(address: str, topic: str, instance: str) -> None:
    kafka = KafkaSettings(kafka_bootstrap_servers=address, kafka_topic=topic)
    consumer = KafkaGroupConsumer(kafka, group=f"{topic}-names", instance=instance, max_fetch_bytes=1 << 20)
    while True:
        try:
            await consumer.start(Speaker())
            while True:
                await consumer.poll(1, 1 << 20)
                await consumer.check_name()
        except BrokerUnavailable as error:
            say(f"{type(error).__name__}: {error}")
            await consumer.stop()
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    asyncio.run(take_part(*sys.argv[1:]))
