"""The group consumer's own promises on the real broker: memory by bytes, one living member a name."""

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from native_stack.clients import topic_settings
from native_stack.stack import Stack
from service_runtime.kafka import client_options
from service_runtime.settings import KafkaSettings

MIB = 1024 * 1024
NAMED_MEMBER = Path(__file__).with_name("named_member.py")
POLL_AND_DROP = Path(__file__).with_name("poll_and_drop.py")


@pytest.fixture
async def kafka(stack: Stack) -> AsyncIterator[KafkaSettings]:
    """A topic of six partitions, deleted afterwards."""
    topic = f"consumer-{uuid.uuid4()}"
    kafka = topic_settings(stack).model_copy(update={"kafka_topic": topic})
    admin = AIOKafkaAdminClient(**client_options(kafka))
    await admin.start()
    await admin.create_topics([NewTopic(topic, 6, 1)])
    yield kafka
    await admin.delete_topics([topic])
    await admin.close()


async def fill(kafka: KafkaSettings, records: int, size: int) -> None:
    """Produce records of equal letters, which all but vanish on the wire."""
    options = client_options(kafka) | {"request_timeout_ms": 30_000}
    async with AIOKafkaProducer(
        **options, compression_type="zstd", max_batch_size=1024 * 1024, max_request_size=1 << 30
    ) as producer:
        sent = [await producer.send(kafka.kafka_topic, b"x" * size, partition=n % 6) for n in range(records)]
        await asyncio.gather(*sent)


async def poll_and_drop(kafka: KafkaSettings, records: int, max_bytes: int) -> dict[str, int]:
    command = [POLL_AND_DROP, kafka.kafka_bootstrap_servers, kafka.kafka_topic, records, max_bytes]
    process = await asyncio.create_subprocess_exec(sys.executable, *map(str, command), stdout=subprocess.PIPE)
    said, _ = await process.communicate()
    found: dict[str, int] = json.loads(said)
    sys.stdout.write(f"{found}\n")
    return found


class Member:
    """A process of named_member.py."""

    def __init__(self, kafka: KafkaSettings, process: asyncio.subprocess.Process) -> None:
        self.said: list[str] = []
        self._process = process
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, kafka: KafkaSettings) -> "Member":
        process = await asyncio.create_subprocess_exec(
            sys.executable, NAMED_MEMBER, kafka.kafka_bootstrap_servers, kafka.kafka_topic, "sink",
            stdout=subprocess.PIPE,
        )  # fmt: skip
        return cls(kafka, process)

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.said.append(line.decode().strip())

    async def says(self, what: str, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not any(what in line for line in self.said):
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()
        await self._listening


async def test_a_killed_member_comes_back_at_once_under_its_name(kafka: KafkaSettings) -> None:
    killed = await Member.start(kafka)
    await killed.says("assigned 6", 30)
    await killed.kill()
    started = asyncio.get_running_loop().time()
    back = await Member.start(kafka)
    await back.says("assigned 6", 5)  # a session runs out after six seconds
    sys.stdout.write(f"back after {asyncio.get_running_loop().time() - started:.1f} s\n")
    await back.kill()


async def test_a_living_member_keeps_its_name_and_the_twin_waits_for_it(kafka: KafkaSettings) -> None:
    first = await Member.start(kafka)
    await first.says("assigned 6", 30)
    twin = await Member.start(kafka)
    await twin.says("InstanceNameTaken: the instance name 'sink' is taken", 20)
    assert [line for line in first.said if line != "revoked 0"] == ["assigned 6"]
    sys.stdout.write(f"{twin.said}\n")
    await first.kill()
    await twin.says("assigned 6", 5)
    await twin.kill()


async def test_868_mb_of_pins_pass_through_a_small_consumer(kafka: KafkaSettings) -> None:
    await fill(kafka, 14_000, 62 * 1024)
    found = await poll_and_drop(kafka, 14_000, 4 * MIB)
    assert found["bytes"] == 14_000 * 62 * 1024
    assert found["largest_poll"] <= 4 * MIB + 62 * 1024
    assert found["peak"] < 150 * MIB


async def test_one_record_of_100_mib_is_handed_out_alone(kafka: KafkaSettings) -> None:
    await fill(kafka, 1, 100 * MIB)
    await fill(kafka, 12, 62 * 1024)
    found = await poll_and_drop(kafka, 13, 4 * MIB)
    assert found["bytes"] == 100 * MIB + 12 * 62 * 1024
    assert found["peak"] < 600 * MIB
