"""The real servers pass the suites that the fakes pass (packages/service-runtime/tests/test_fakes.py)."""

import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from native_stack.clients import archive_settings, topic_settings
from native_stack.stack import Stack
from service_runtime.kafka import client_options
from service_runtime.kafka_consumer import KafkaGroupConsumer
from service_runtime.kafka_producer import KafkaProducer
from service_runtime.object_store import ObjectStore
from service_runtime.s3 import s3_bucket
from service_runtime.testing.broker_suite import BrokerSuite
from service_runtime.testing.object_store_suite import ObjectStoreSuite


class KafkaLab:
    """A fresh topic on the session's broker."""

    def __init__(self, stack: Stack) -> None:
        self.topic = f"suite-{uuid.uuid4()}"
        self.kafka = topic_settings(stack).model_copy(update={"kafka_topic": self.topic})

    async def create_topic(self) -> None:
        admin = AIOKafkaAdminClient(**client_options(self.kafka))
        await admin.start()
        configs = {"message.timestamp.type": "LogAppendTime"}
        await admin.create_topics([NewTopic(self.topic, 2, 1, topic_configs=configs)])
        await admin.close()

    def producer(self) -> KafkaProducer:
        return KafkaProducer(self.kafka, compression="zstd", max_batch_bytes=65536)

    def consumer(self, group: str) -> KafkaGroupConsumer:
        return KafkaGroupConsumer(
            self.kafka,
            group=f"{group}-{self.topic}",
            instance=None,
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
