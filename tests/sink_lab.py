"""What s3-sink needs beside a stack: a topic and a bucket that no other test uses, and the process itself."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import repeat
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import ConsumerRecord
from native_stack.clients import topic_settings
from native_stack.credentials import S3_ROOT_KEY_ID
from native_stack.stack import Stack
from pin_schema.archive import FORMAT_1_OWNER, PREFIX, ArchivedRecord, ObjectKey
from pin_schema.archive_stream import decode_object
from pydantic import SecretStr
from reconcile.topic import topic_log
from service_runtime.kafka import client_options
from service_runtime.s3 import s3_bucket, s3_client
from service_runtime.settings import S3Settings
from sink_process import SinkProcess, free_port

APPEND_TIME, CREATE_TIME = "LogAppendTime", "CreateTime"
YEAR_MS = 365 * 86_400_000
# A producer that outlasts a broker which other tests have slowed down.
PATIENT = {"acks": "all", "request_timeout_ms": 30_000}
TOPIC_CONFIG = {"max.message.bytes": str(2 * 1024 * 1024), "message.timestamp.after.max.ms": str(YEAR_MS)}


class SinkLab:
    """A topic, its dead letters and a bucket."""

    def __init__(self, stack: Stack, timestamps: str) -> None:
        self.topic = f"lab-{uuid4()}"
        self._topic_config = {**TOPIC_CONFIG, "message.timestamp.type": timestamps}
        self.kafka = topic_settings(stack)
        secret = stack.credentials.s3_root_secret_file.read_text(encoding="utf-8").strip()
        self.s3 = S3Settings(
            s3_bucket=self.topic,
            s3_endpoint_url=stack.settings.s3_url,
            s3_access_key_id=S3_ROOT_KEY_ID,
            s3_secret_access_key=SecretStr(secret),
        )

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, stack: Stack, partitions: int = 2, timestamps: str = APPEND_TIME
    ) -> AsyncIterator["SinkLab"]:
        """Make them; the stack's end is theirs. With CREATE_TIME a test sets the clock of its records."""
        lab = cls(stack, timestamps)
        async with s3_client(lab.s3) as client:
            await client.create_bucket(Bucket=lab.topic)
        await lab.create_topic(lab.topic, partitions)
        await lab.create_topic(lab.dead_letters, 1)
        yield lab

    @property
    def dead_letters(self) -> str:
        """The topic of its dead letters."""
        return f"{self.topic}.dead-letter"

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """An admin client."""
        admin = AIOKafkaAdminClient(**client_options(self.kafka))
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    async def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic, also one that is still being deleted."""
        async with self.admin() as admin, asyncio.timeout(30):
            while True:
                answer = await admin.create_topics(
                    [NewTopic(name, partitions, 1, topic_configs=self._topic_config)]
                )
                if answer.topic_errors[0][1] == 0:
                    return
                await asyncio.sleep(0.2)

    async def recreate_topic(self, partitions: int = 2) -> None:
        """Delete the topic and create it again."""
        async with self.admin() as admin:
            await admin.delete_topics([self.topic])
        await self.create_topic(self.topic, partitions)

    def producer(self, **options: Any) -> AIOKafkaProducer:
        """Return one with these options too."""
        return AIOKafkaProducer(**client_options(self.kafka) | PATIENT | options)

    async def post(
        self, values: Iterable[bytes], partition: int = 0, timestamps: Iterable[int | None] = repeat(None)
    ) -> None:
        """Produce past ingest-api, compressed, all acknowledged; with CREATE_TIME at these times (ms)."""
        async with self.producer(max_request_size=4 * 1024 * 1024, compression_type="zstd") as producer:
            sent = [
                await producer.send(self.topic, value, partition=partition, timestamp_ms=timestamp)
                for value, timestamp in zip(values, timestamps, strict=False)
            ]
            await asyncio.gather(*sent)

    async def held(self, topic: str | None = None, partition: int = 0) -> list[ConsumerRecord]:
        """Return all that a partition of the topic holds."""
        place = TopicPartition(topic or self.topic, partition)
        records: list[ConsumerRecord] = []
        async with AIOKafkaConsumer(**client_options(self.kafka), enable_auto_commit=False) as consumer:
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            end = (await consumer.end_offsets([place]))[place]
            while await consumer.position(place) < end:
                records += (await consumer.getmany(place, timeout_ms=500)).get(place, [])
        return records

    async def log(self) -> str:
        """Return the short name of the topic's log."""
        return await topic_log(self.kafka, self.topic)

    async def keys(self, log: str, partition: int = 0) -> list[ObjectKey]:
        """Return the keys of a log's partition, by offset."""
        async with s3_bucket(self.s3) as bucket:
            texts = await bucket.list_keys(PREFIX)
        keys = [ObjectKey.parse(text) for text in texts if text != FORMAT_1_OWNER]
        mine = [key for key in keys if (key.log, key.partition) == (log, partition)]
        return sorted(mine, key=lambda key: key.start)

    async def expire_objects(self) -> None:
        """Delete all objects, as the bucket's age limit does."""
        async with s3_bucket(self.s3) as bucket, s3_client(self.s3) as client:
            for key in await bucket.list_keys(PREFIX):
                await client.delete_object(Bucket=self.topic, Key=key)

    async def archived(self, log: str, partition: int = 0) -> list[ArchivedRecord]:
        """Return the archived records of a log's partition, each object verified, no position twice."""
        records: list[ArchivedRecord] = []
        async with s3_bucket(self.s3) as bucket:
            for key in await self.keys(log, partition):
                found = await bucket.get(str(key))
                assert found is not None
                records += decode_object(str(key), found.body, found.metadata)
        assert set(Counter(record.offset for record in records).values()) <= {1}, "no position twice"
        return sorted(records, key=lambda record: record.offset)

    async def archives(
        self, log: str, count: int, partition: int = 0, seconds: float = 60
    ) -> list[ArchivedRecord]:
        """Wait until so many records of a log's partition are archived; return them."""
        records: list[ArchivedRecord] = []
        try:
            async with asyncio.timeout(seconds):
                while len(records := await self.archived(log, partition)) < count:
                    await asyncio.sleep(0.3)
        except TimeoutError:
            raise AssertionError(f"{len(records)} of {count} are archived after {seconds:g} s") from None
        return records

    async def committed(self, offset: int, partition: int = 0) -> None:
        """Wait until the sink's group has committed this offset."""
        place = TopicPartition(self.topic, partition)
        async with self.admin() as admin, asyncio.timeout(20):
            while (found := (await admin.list_consumer_group_offsets(self.topic)).get(place)) is None or (
                found.offset < offset
            ):
                await asyncio.sleep(0.2)

    @asynccontextmanager
    async def sink(self, name: str = "lab", **settings: object) -> AsyncIterator[SinkProcess]:
        """Run the sink for the block, and kill it at the end unless it has ended."""
        port = free_port()
        values = {**self._sink_settings(), "kafka_instance": name, "http_port": port, **settings}
        environment = {f"SINK_{key}".upper(): str(value) for key, value in values.items()}
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("s3-sink")), env={**os.environ, **environment}
        )
        try:
            yield SinkProcess(process, port)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            await process.wait()

    def _sink_settings(self) -> dict[str, object]:
        assert self.s3.s3_secret_access_key is not None
        return {
            "kafka_bootstrap_servers": self.kafka.kafka_bootstrap_servers,
            "kafka_topic": self.topic,
            "kafka_group": self.topic,
            "kafka_dead_letter_topic": self.dead_letters,
            "s3_bucket": self.topic,
            "s3_endpoint_url": self.s3.s3_endpoint_url,
            "s3_access_key_id": self.s3.s3_access_key_id,
            "s3_secret_access_key": self.s3.s3_secret_access_key.get_secret_value(),
            "flush_max_seconds": 1,
            "log_level": "WARNING",
        }
