"""ingest-api as a process of its own, on a topic of its own: what it holds in memory, what Kafka refuses."""

import asyncio
import io
import json
import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from native_stack.clients import topic_settings
from native_stack.stack import Stack
from reconcile.offsets import OffsetRange
from reconcile.topic import log_ends, read_topic, topic_log
from service_runtime import kafka_producer
from service_runtime.broker import BatchRefused
from service_runtime.kafka import client_options
from service_runtime.kafka_producer import KafkaProducer

pytestmark = pytest.mark.must(1, 4, 5, 6)

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
LOG_APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
# Half of what compose gives the container, and a little.
MAX_RSS_KB = 300_000
LIVE_WITHIN_SECONDS = 0.2
PAUSE_SECONDS = 0.02


PROBE = """
import select, sys, time, urllib.request
while not select.select([sys.stdin], [], [], float(sys.argv[2]))[0]:
    started = time.monotonic()
    urllib.request.urlopen(sys.argv[1], timeout=60).read()
    print(time.monotonic() - started)
"""


class Topic:
    """A topic that a test may treat badly."""

    def __init__(self, admin: AIOKafkaAdminClient) -> None:
        self.name = f"alone-{uuid.uuid4()}"
        self.admin = admin

    async def create(self, partitions: int, **configs: str) -> None:
        configs = LOG_APPEND_TIME | {name.replace("_", "."): value for name, value in configs.items()}
        await self.admin.create_topics([NewTopic(self.name, partitions, 1, topic_configs=configs)])

    async def make_anew(self, partitions: int) -> None:
        await self.admin.delete_topics([self.name])
        async with asyncio.timeout(20):
            while self.name in await self.admin.list_topics():
                await asyncio.sleep(0.1)
        await self.create(partitions)

    async def grow(self, partitions: int) -> None:
        await self.admin.create_partitions({self.name: NewPartitions(partitions)})


class Ingest:
    """The running process, and a client of it."""

    def __init__(
        self, process: asyncio.subprocess.Process, port: int, session: aiohttp.ClientSession
    ) -> None:
        self.process = process
        self.port = port
        self._session = session
        self._url = f"http://127.0.0.1:{port}"

    async def post(
        self, path: str, body: bytes, headers: dict[str, str] = JSON
    ) -> tuple[int, dict[str, Any]]:
        async with self._session.post(f"{self._url}{path}", data=io.BytesIO(body), headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def pin(self, **more: object) -> tuple[int, dict[str, Any]]:
        return await self.post("/pin/", a_pin(**more))

    async def is_ready(self) -> bool:
        async with self._session.get(f"{self._url}/health/ready") as answer:
            return answer.status == 200

    async def until_ready(self) -> None:
        async with asyncio.timeout(60):
            while True:
                try:
                    if await self.is_ready():
                        return
                except aiohttp.ClientConnectionError:
                    assert self.process.returncode is None
                await asyncio.sleep(0.1)

    @asynccontextmanager
    async def probed(self) -> AsyncIterator[list[float]]:
        """Ask /health/live all the time from another process; the list then holds the seconds it took."""
        probe = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROBE, f"{self._url}/health/live", str(PAUSE_SECONDS)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        seconds: list[float] = []
        yield seconds
        said, _ = await probe.communicate(b"")
        assert probe.returncode == 0
        seconds += sorted(map(float, said.split()))

    @property
    def peak_rss_kb(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def a_pin(**more: object) -> bytes:
    return json.dumps({"index": 1, "unique_id": str(uuid.uuid4()), **more}).encode()


def must_be_small_and_alive(ingest: Ingest, live_seconds: list[float]) -> None:
    sys.stdout.write(f"peak RSS {ingest.peak_rss_kb} kB, /health/live {live_seconds[-3:]} s\n")
    assert ingest.peak_rss_kb < MAX_RSS_KB
    # A machine that does other things too stands still at times; a loop that is held up nearly always.
    slow_seconds = sum(seconds for seconds in live_seconds if seconds > LIVE_WITHIN_SECONDS)
    assert slow_seconds < 0.1 * (sum(live_seconds) + PAUSE_SECONDS * len(live_seconds))


@pytest.fixture
async def topic(stack: Stack) -> AsyncIterator[Topic]:
    admin = AIOKafkaAdminClient(**client_options(topic_settings(stack)))
    await admin.start()
    yield Topic(admin)
    await admin.close()


@asynccontextmanager
async def ingest_on(topic: Topic, stack: Stack) -> AsyncIterator[Ingest]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = int(held.getsockname()[1])
    settings = {
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": stack.settings.kafka_address,
        "INGEST_KAFKA_TOPIC": topic.name,
        "INGEST_HTTP_PORT": str(port),
    }
    command = [sys.executable, "-m", "ingest_api"]
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **settings}, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            ingest = Ingest(process, port, session)
            await ingest.until_ready()
            yield ingest
            assert process.returncode is None
    finally:
        process.terminate()
        await process.wait()


async def test_bodies_that_never_end_are_refused_at_their_header(topic: Topic, stack: Stack) -> None:
    size = 8 * 1024 * 1024
    head = (
        b"POST /pins HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n"
    )

    async def unfinished(port: int) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head % size)
        answer = asyncio.create_task(reader.readline())
        left = size - 1
        while left and not answer.done():
            writer.write(b"x" * min(left, 65536))
            left -= min(left, 65536)
            await writer.drain()
        line = await answer
        writer.close()
        return line.decode()

    await topic.create(6)
    async with ingest_on(topic, stack) as ingest:
        async with ingest.probed() as live_seconds:
            attack = asyncio.gather(*(unfinished(ingest.port) for _ in range(64)))
            await asyncio.sleep(2)
            assert [(await ingest.pin())[0] for _ in range(20)] == [200] * 20, "others are answered"
            answers = [line.split()[1] for line in await attack]
        # What fits waits for its last byte; the rest was refused without being read.
        assert sorted(set(answers)) == ["408", "429"]
        assert answers.count("429") >= 56
        must_be_small_and_alive(ingest, live_seconds)


async def test_eight_bodies_of_ten_thousand_odd_pins_hold_up_nobody(topic: Topic, stack: Stack) -> None:
    body = b"\n".join(a_pin(title="t", x=[[1]] * 60) for _ in range(10_000))
    await topic.create(6)
    async with ingest_on(topic, stack) as ingest:
        async with ingest.probed() as live_seconds:
            answers = await asyncio.gather(*(ingest.post("/pins", body, NDJSON) for _ in range(8)))
        assert [status for status, _ in answers] == [200] * 8
        assert all(len(answer["receipts"]) == 10_000 for _, answer in answers)
        must_be_small_and_alive(ingest, live_seconds)


async def test_what_a_topic_refuses_is_nobody_elses_matter(topic: Topic, stack: Stack) -> None:
    await topic.create(3, max_message_bytes="8192")

    async def repeat(post: Callable[[], Awaitable[tuple[int, Any]]], count: int) -> list[int]:
        return [(await post())[0] for _ in range(count)]

    async with ingest_on(topic, stack) as ingest:

        async def too_large() -> tuple[int, Any]:
            status, problem = await ingest.pin(noise=os.urandom(15_000).hex())
            assert problem["errors"][0]["rule"] == "too_large_for_topic"
            return status, problem

        small = [repeat(ingest.pin, 100) for _ in range(30)]
        large = [repeat(too_large, 10) for _ in range(3)]
        statuses = await asyncio.gather(*small, *large)
        assert [status for one in statuses[:30] for status in one] == [200] * 3000
        assert [status for one in statuses[30:] for status in one] == [413] * 30
        assert await ingest.is_ready()


async def test_a_topic_made_anew_with_fewer_partitions_and_grown_is_followed(
    topic: Topic, stack: Stack
) -> None:
    await topic.create(6)

    async def until_used(partitions: int) -> set[int]:
        statuses: set[int] = set()
        async with asyncio.timeout(60):
            while True:
                answers = await asyncio.gather(*(ingest.pin() for _ in range(60)))
                statuses |= {status for status, _ in answers}
                assert statuses <= {200, 503}
                used = {answer.get("partition") for _, answer in answers}
                if used == set(range(partitions)):
                    return statuses
                await asyncio.sleep(0.1)

    async with ingest_on(topic, stack) as ingest:
        await until_used(6)
        remaking = asyncio.create_task(topic.make_anew(2))
        await asyncio.sleep(0)
        assert 503 in await until_used(2), "the fault fired"
        await remaking
        await topic.grow(5)
        assert await until_used(5) == {200}


async def test_each_receipt_names_the_log_that_holds_its_pin_while_the_topic_is_created_again(
    topic: Topic, stack: Stack
) -> None:
    kafka = topic_settings(stack)
    receipts: dict[bytes, dict[str, Any]] = {}
    statuses: set[int] = set()
    enough = asyncio.Event()

    async def post_on() -> None:
        while not enough.is_set():
            unique_id = str(uuid.uuid4())
            status, answer = await ingest.post("/pin/", a_pin(unique_id=unique_id))
            statuses.add(status)
            if status == 200:
                receipts[unique_id.encode()] = answer

    def end(log: str) -> int:
        return max((receipt["offset"] for receipt in receipts.values() if receipt["log"] == log), default=-1)

    await topic.create(1)
    async with ingest_on(topic, stack) as ingest:
        posting = [asyncio.create_task(post_on()) for _ in range(8)]
        old = await topic_log(kafka, topic.name)
        await asyncio.sleep(0.5)
        await topic.make_anew(1)
        new = await topic_log(kafka, topic.name)
        async with asyncio.timeout(60):
            while end(new) <= end(old):
                await asyncio.sleep(0.1)
        enough.set()
        await asyncio.gather(*posting)
    assert {receipt["log"] for receipt in receipts.values()} == {old, new}
    assert statuses == {200, 503}, "the fault fired, in the midst of posts"
    for record in await read_topic(kafka, topic.name, OffsetRange({}, await log_ends(kafka, topic.name))):
        if (receipt := receipts.pop(record.key, None)) is not None:
            assert (receipt["log"], receipt["offset"]) == (new, record.offset)
    assert {receipt["log"] for receipt in receipts.values()} == {old}, "the new log holds what it is said to"


async def test_a_record_that_breaks_its_topics_rule_is_refused_by_itself(topic: Topic, stack: Stack) -> None:
    await topic.create(1, cleanup_policy="compact")
    producer = KafkaProducer(topic_settings(stack), compression=None, max_batch_bytes=65536)
    await producer.start()
    for number, key in enumerate([b"key", None, b"key"]):
        batch = producer.new_batch()
        assert batch.append(key, b"value", [])
        sent = await producer.send(batch, TopicPartition(topic.name, 0))
        if key is None:
            with pytest.raises(BatchRefused) as refused:
                await sent
            assert not refused.value.too_large
        else:
            assert (await sent).base_offset == number // 2
    await producer.stop()


@pytest.mark.parametrize("cancelled", [False, True], ids=["given up", "cancelled"])
async def test_a_stopped_producer_leaves_no_sender(
    topic: Topic, stack: Stack, monkeypatch: pytest.MonkeyPatch, *, cancelled: bool
) -> None:
    await topic.create(1)
    before = asyncio.all_tasks()
    producer = KafkaProducer(topic_settings(stack), compression=None, max_batch_bytes=65536)
    await producer.start()
    assert (await producer.topic(topic.name)).partitions == 1
    monkeypatch.setattr(kafka_producer, "STOP_SECONDS", 30 if cancelled else 0.5)
    stack.suspend("kafka")
    try:
        batch = producer.new_batch()
        assert batch.append(b"key", b"value", [])
        sent = await producer.send(batch, TopicPartition(topic.name, 0))
        await asyncio.sleep(0.2)
        assert not sent.done(), "the fault fired"
        stopping = asyncio.create_task(producer.stop())
        await asyncio.sleep(0.2)
        if cancelled:
            stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
        sent.cancel()
        await asyncio.sleep(0.2)
        assert asyncio.all_tasks() == before
    finally:
        stack.resume("kafka")
