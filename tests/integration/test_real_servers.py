"""The real servers pass the suites that the fakes pass (packages/service-runtime/tests/test_fakes.py)."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from native_stack.clients import archive_settings, topic_settings
from native_stack.stack import Stack
from raw_batch import produce_raw, with_foreign_header_names
from service_runtime.kafka import client_options
from service_runtime.kafka_consumer import KafkaGroupConsumer
from service_runtime.kafka_producer import KafkaProducer
from service_runtime.object_store import ObjectStore
from service_runtime.s3 import s3_bucket
from service_runtime.testing.broker_suite import MAX_BATCH_BYTES, BrokerSuite
from service_runtime.testing.object_store_suite import ObjectStoreSuite


class KafkaLab:
    """A fresh topic on the session's broker."""

    def __init__(self, stack: Stack) -> None:
        self.topic = f"suite-{uuid.uuid4()}"
        self.kafka = topic_settings(stack).model_copy(update={"kafka_topic": self.topic})

    async def create_topic(self, partitions: int = 2) -> None:
        configs = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(MAX_BATCH_BYTES)}
        new = NewTopic(self.topic, partitions, 1, topic_configs=configs)
        async with self.admin() as admin, asyncio.timeout(30):
            # A topic that was deleted is there for a moment still.
            while (await admin.create_topics([new])).topic_errors[0][1]:
                await asyncio.sleep(0.2)

    async def delete_topic(self) -> None:
        async with self.admin() as admin:
            await admin.delete_topics([self.topic])

    async def recreate_topic(self, partitions: int) -> None:
        await self.delete_topic()
        await self.create_topic(partitions)

    async def append_undecodable(self, partition: TopicPartition) -> None:
        await produce_raw(self.kafka, partition, with_foreign_header_names([b"value"]))

    async def end_with_a_marker(self, partition: TopicPartition) -> None:
        producer = AIOKafkaProducer(**client_options(self.kafka), transactional_id=f"marker-{self.topic}")
        async with producer, producer.transaction():
            await producer.send_and_wait(self.topic, b"in a transaction", partition=partition.partition)

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**client_options(self.kafka))
        await admin.start()
        yield admin
        await admin.close()

    def producer(self) -> KafkaProducer:
        return KafkaProducer(self.kafka, compression="zstd", max_batch_bytes=65536)

    def consumer(self, group: str, instance: str | None = None) -> KafkaGroupConsumer:
        return KafkaGroupConsumer(
            self.kafka,
            group=f"{group}-{self.topic}",
            instance=instance,
            max_fetch_bytes=1024 * 1024,
        )


class TestKafka(BrokerSuite):
    @pytest.fixture
    async def lab(self, stack: Stack) -> KafkaLab:
        lab = KafkaLab(stack)
        await lab.create_topic()
        return lab


class TestVersitygw(ObjectStoreSuite):
    @pytest.fixture
    async def object_store(self, stack: Stack) -> AsyncIterator[ObjectStore]:
        async with s3_bucket(archive_settings(stack)) as bucket:
            yield bucket
