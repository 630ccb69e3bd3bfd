"""s3-sink as a process of its own beside a stack: with a topic and a bucket that no other test uses."""

import asyncio
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
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

TOPIC_CONFIG = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(2 * 1024 * 1024)}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class SinkProcess:
    """A running `s3-sink`."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self._url = f"http://127.0.0.1:{port}"

    def send(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    @property
    def peak_mib(self) -> float:
        """The most memory that it has held, as the kernel counts."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    async def ready(self) -> dict[str, str]:
        """Return the state of each dependency, or why it is awaited; nothing while it does not answer."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self._url}/health/ready") as answer:
                report: dict[str, Any] = (await answer.json())["dependencies"]
        except aiohttp.ClientConnectionError:
            return {}
        return {name: entry.get("why", entry["state"]) for name, entry in report.items()}

    async def metric(self, sample: str) -> float:
        """Return a sample as it is printed, 0 when it is not."""
        async with aiohttp.ClientSession() as session, session.get(f"{self._url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(sample)), 0.0)

    async def says(self, fact: Callable[[dict[str, str]], bool], seconds: float = 60) -> dict[str, str]:
        """Wait until its readiness fits; return it."""
        report: dict[str, str] = {}
        try:
            async with asyncio.timeout(seconds):
                while not fact(report := await self.ready()):
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"after {seconds:g} s it says {report}") from None
        return report

    async def is_ready(self, seconds: float = 60) -> None:
        """Wait until every dependency is up."""
        await self.says(lambda report: bool(report) and set(report.values()) == {"up"}, seconds)


class SinkLab:
    """A topic, its dead letters and a bucket."""

    def __init__(self, stack: Stack) -> None:
        self.topic = f"lab-{uuid4()}"
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
    async def opened(cls, stack: Stack, partitions: int = 2) -> AsyncIterator["SinkLab"]:
        """Make them; the stack's end is theirs."""
        lab = cls(stack)
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
                    [NewTopic(name, partitions, 1, topic_configs=TOPIC_CONFIG)]
                )
                if answer.topic_errors[0][1] == 0:
                    return
                await asyncio.sleep(0.2)

    async def recreate_topic(self, partitions: int = 2) -> None:
        """Delete the topic and create it again."""
        async with self.admin() as admin:
            await admin.delete_topics([self.topic])
        await self.create_topic(self.topic, partitions)

    async def post(self, values: Iterable[bytes], partition: int = 0) -> None:
        """Produce past ingest-api, compressed, all acknowledged."""
        options = {"acks": "all", "max_request_size": 4 * 1024 * 1024, "compression_type": "zstd"}
        async with AIOKafkaProducer(**client_options(self.kafka), **options) as producer:
            sent = [await producer.send(self.topic, value, partition=partition) for value in values]
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

    async def archived(self, log: str, partition: int = 0) -> list[ArchivedRecord]:
        """Return the archived records of a log's partition, each object verified, no position twice."""
        records: list[ArchivedRecord] = []
        async with s3_bucket(self.s3) as bucket:
            for text in await bucket.list_keys(PREFIX):
                if text == FORMAT_1_OWNER or ObjectKey.parse(text).log != log:
                    continue
                found = await bucket.get(text)
                assert found is not None
                records += [
                    record
                    for record in decode_object(text, found.body, found.metadata)
                    if record.partition == partition
                ]
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

    @asynccontextmanager
    async def sink(self, name: str = "lab", **settings: object) -> AsyncIterator[SinkProcess]:
        """Run the sink for the block, and kill it at the end unless it has ended."""
        port = free_port()
        assert self.s3.s3_secret_access_key is not None
        told = {
            "kafka_bootstrap_servers": self.kafka.kafka_bootstrap_servers,
            "kafka_topic": self.topic,
            "kafka_group": self.topic,
            "kafka_instance": name,
            "kafka_dead_letter_topic": self.dead_letters,
            "s3_bucket": self.topic,
            "s3_endpoint_url": self.s3.s3_endpoint_url,
            "s3_access_key_id": self.s3.s3_access_key_id,
            "s3_secret_access_key": self.s3.s3_secret_access_key.get_secret_value(),
            "flush_max_seconds": 1,
            "http_port": port,
            "log_level": "WARNING",
            **settings,
        }
        environment = {f"SINK_{key}".upper(): str(value) for key, value in told.items()}
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
