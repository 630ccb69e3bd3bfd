"""s3-sink with the real Kafka and the real S3 server: garbage in, outages, start order."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer
from native_stack.clients import archive_settings, topic_settings
from native_stack.stack import Stack
from pin_schema.archive import ArchivedRecord
from reconcile.archive import archived_within
from reconcile.offsets import OffsetRange
from reconcile.topic import log_ends, read_topic, topic_log
from service_runtime.kafka import client_options
from service_runtime.s3 import s3_bucket
from sink_lab import PATIENT


class Line:
    """Writes to the topic, reads the archive, asks the sink."""

    def __init__(self, stack: Stack, session: aiohttp.ClientSession) -> None:
        self.stack = stack
        self.kafka = topic_settings(stack)
        self.session = session

    async def write(self, values: list[bytes | None]) -> OffsetRange:
        """Produce past ingest-api, as anybody with access could; return the offsets."""
        async with AIOKafkaProducer(**client_options(self.kafka) | PATIENT) as producer:
            sent = [await producer.send_and_wait("pins", value, key=b"\xffkey") for value in values]
        partitions = {metadata.partition for metadata in sent}
        offsets = {p: [m.offset for m in sent if m.partition == p] for p in partitions}
        return OffsetRange(
            {p: min(found) for p, found in offsets.items()},
            {p: max(found) + 1 for p, found in offsets.items()},
        )

    async def archived(self, span: OffsetRange) -> list[ArchivedRecord]:
        """Wait until the range is archived and return it."""
        async with s3_bucket(archive_settings(self.stack)) as store:
            records = await archived_within(store, await topic_log(self.kafka, "pins"), span, seconds=60)
        assert len(records) >= span.count
        return records

    async def waits_for(self, dependency: str) -> str:
        """Return why the sink waits for the dependency, as soon as it says so."""
        url = f"http://127.0.0.1:{self.stack.settings.sink_port}/health/ready"
        async with asyncio.timeout(60):
            while True:
                try:
                    async with self.session.get(url) as answer:
                        report: dict[str, Any] = await answer.json()
                    if why := report["dependencies"][dependency].get("why"):
                        return str(why)
                except aiohttp.ClientConnectionError:
                    pass  # the service is still starting
                await asyncio.sleep(0.2)


@pytest.fixture
async def line(stack: Stack) -> AsyncIterator[Line]:
    stack.up(only=["s3-sink"])
    async with aiohttp.ClientSession() as session:
        yield Line(stack, session)


def some_pins(count: int) -> list[bytes | None]:
    return [json.dumps({"index": n, "unique_id": str(uuid.uuid4())}).encode() for n in range(count)]


async def test_what_is_no_pin_is_archived_as_it_came_and_dead_lettered(line: Line) -> None:
    letters_before = await log_ends(line.kafka, "pins.dead-letter")
    garbage: list[bytes | None] = [b"\xff\x00", b'{"index": -1}', None, *some_pins(1)]
    span = await line.write(garbage)
    records = await line.archived(span)
    assert sorted(record.value or b"" for record in records) == sorted(value or b"" for value in garbage)
    assert {record.key for record in records} == {b"\xffkey"}
    letters = await read_topic(
        line.kafka,
        "pins.dead-letter",
        OffsetRange(letters_before, await log_ends(line.kafka, "pins.dead-letter")),
    )
    reasons = {dict(letter.headers)["reason"]: letter.value for letter in letters}
    assert reasons == {b"not_utf8": b"\xff\x00", b"out_of_range": b'{"index": -1}', b"no_value": b""}
    assert all(dict(letter.headers)["topic"] == b"pins" for letter in letters)


async def test_a_store_that_is_away_is_named_and_awaited(line: Line, stack: Stack) -> None:
    pid = stack.pid_of("s3-sink")
    stack.stop("s3")
    try:
        span = await line.write(some_pins(50))
        assert "Connect" in await line.waits_for("s3")
    finally:
        stack.start("s3")
    assert len(await line.archived(span)) == 50
    assert stack.pid_of("s3-sink") == pid, "no restart was needed"


async def test_a_silent_store_doubles_nothing(line: Line, stack: Stack) -> None:
    stack.suspend("s3")
    try:
        span = await line.write(some_pins(50))
        assert await line.waits_for("s3")
    finally:
        stack.resume("s3")
    records = await line.archived(span)
    assert len({(record.partition, record.offset) for record in records}) == len(records) == 50


async def test_the_sink_may_start_before_everything_it_needs(line: Line, stack: Stack) -> None:
    span = await line.write(some_pins(20))
    for program in ("s3-sink", "kafka", "s3"):
        stack.stop(program)
    starting = asyncio.create_task(asyncio.to_thread(stack.start, "s3-sink"))
    assert await line.waits_for("kafka")
    assert await line.waits_for("s3")
    await asyncio.gather(*(asyncio.to_thread(stack.start, program) for program in ("kafka", "s3")))
    await starting
    more = await line.write(some_pins(20))
    assert len(await line.archived(span)) >= 20
    assert len(await line.archived(more)) == 20


async def test_a_sink_that_dies_goes_on_within_seconds(line: Line, stack: Stack) -> None:
    span = await line.write(some_pins(20))
    stack.kill("s3-sink")
    more = await line.write(some_pins(20))
    assert len(await line.archived(span)) >= 20
    assert len(await line.archived(more)) == 20
