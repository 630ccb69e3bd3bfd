"""ingest-api with its real neighbour: what a receipt is worth, and what happens while Kafka is away."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from native_stack.clients import topic_settings
from native_stack.stack import Stack
from reconcile.offsets import OffsetRange
from reconcile.topic import read_topic, topic_log

pytestmark = pytest.mark.must(1, 6)

# What P1 promises, and what a test machine may add by being busy.
ANSWERED_WITHIN_SECONDS = 5 + 1


class Client:
    """Posts to the service and asks its readiness."""

    def __init__(self, stack: Stack, session: aiohttp.ClientSession) -> None:
        self.stack = stack
        self.session = session
        self.url = stack.settings.ingest_url

    async def post(self, pin: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
        # Like the original's clients: requests.post(url, json=pin), which escapes what is not ASCII.
        async with self.session.post(
            f"{self.url}/pin/", data=json.dumps(pin), headers={"Content-Type": "application/json"}
        ) as answer:
            return answer.status, await answer.json(content_type=None), dict(answer.headers)

    async def ready(self) -> dict[str, Any]:
        async with self.session.get(f"{self.url}/health/ready") as answer:
            report: dict[str, Any] = await answer.json()
            return report

    async def record_at(self, receipt: dict[str, Any]) -> Any:
        assert receipt["log"] == await topic_log(topic_settings(self.stack), receipt["topic"])
        partition, offset = receipt["partition"], receipt["offset"]
        span = OffsetRange({partition: offset}, {partition: offset + 1})
        (record,) = await read_topic(topic_settings(self.stack), receipt["topic"], span)
        return record

    async def until_accepted(self, pin: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while True:
                status, receipt, _ = await self.post(pin)
                if status == 200:
                    return receipt
                await asyncio.sleep(0.2)


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[Client]:
    stack.up(only=["ingest-api"])
    async with aiohttp.ClientSession() as session:
        yield Client(stack, session)


def a_pin(**more: object) -> dict[str, Any]:
    return {"index": 1, "unique_id": str(uuid.uuid4()), "title": "Ёлка ®", **more}


async def test_the_record_lies_where_the_receipt_says(client: Client) -> None:
    pin = a_pin(poster_name=None)
    status, receipt, _ = await client.post(pin)
    assert status == 200
    record = await client.record_at(receipt)
    assert json.loads(record.value) == pin
    assert record.key == pin["unique_id"].encode()
    assert list(record.headers) == [("schema", b"pin/1")]
    assert record.timestamp == receipt["timestamp"]
    assert record.timestamp_type == 1, "the broker's append time"


async def test_versions_of_a_pin_share_a_partition_whatever_the_case_of_its_id(client: Client) -> None:
    pin = a_pin()
    receipts = [
        (await client.post(pin | {"unique_id": unique_id}))[1]
        for unique_id in (pin["unique_id"], pin["unique_id"].upper())
    ]
    assert receipts[0]["partition"] == receipts[1]["partition"]


async def test_a_silent_kafka_is_a_503_within_5_seconds_and_heals_by_itself(
    client: Client, stack: Stack
) -> None:
    stack.suspend("kafka")
    try:
        started = time.monotonic()
        status, problem, headers = await client.post(a_pin())
        assert status == 503
        assert time.monotonic() - started < ANSWERED_WITHIN_SECONDS
        assert 1 <= int(headers["Retry-After"]) <= 30
        assert headers["Content-Type"] == "application/problem+json"
        assert "post pins without a receipt again" in problem["detail"]
        async with asyncio.timeout(20):
            while (report := await client.ready())["status"] == "ready":
                await asyncio.sleep(0.2)
        assert report["dependencies"]["kafka"]["why"]
        assert report["dependencies"]["kafka"]["since"]
    finally:
        stack.resume("kafka")
    pid = stack.pid_of("ingest-api")
    await client.until_accepted(a_pin())
    assert stack.pid_of("ingest-api") == pid, "no restart was needed"


async def test_a_killed_kafka_is_a_503_and_heals_by_itself(client: Client, stack: Stack) -> None:
    before = stack.pid_of("kafka")
    stack.kill("kafka")
    started = time.monotonic()
    status, _, headers = await client.post(a_pin())
    assert status == 503, "the fault fired"
    assert time.monotonic() - started < ANSWERED_WITHIN_SECONDS
    assert int(headers["Retry-After"]) >= 1
    pin = a_pin()
    receipt = await client.until_accepted(pin)
    assert json.loads((await client.record_at(receipt)).value) == pin
    assert stack.pid_of("kafka") != before
