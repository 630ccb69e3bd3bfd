"""The HTTP contract against the fake broker: receipts, refusals, bounded waits."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from httpx2 import ASGITransport, AsyncClient, Response
from ingest_api import publisher
from ingest_api.app import create_ingest
from ingest_api.publisher import Publisher
from ingest_api.settings import IngestSettings
from pin_schema.logs import log_name
from prometheus_client import CollectorRegistry
from service_runtime.clock import SystemClock
from service_runtime.testing.broker import InMemoryBroker, StoredRecord

pytestmark = pytest.mark.must(2, 3, 4, 5)

JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}


def a_pin(index: int = 1, **more: object) -> dict[str, Any]:
    return {"index": index, "unique_id": str(uuid.UUID(int=index)), **more}


def encoded(pin: object) -> bytes:
    return json.dumps(pin).encode()


class World:
    """The service on a broker of 3 partitions, with an HTTP client."""

    def __init__(self) -> None:
        self.broker = InMemoryBroker(SystemClock(), {"pins": 3})
        self.producer = self.broker.producer()
        self.registry = CollectorRegistry()
        settings = IngestSettings(
            ack_timeout_seconds=0.2,
            body_timeout_seconds=0.2,
            queue_max_bytes=192 * 1024,
            max_body_bytes=128 * 1024,
            max_pins=1000,
        )
        self.service = create_ingest(settings, self.producer, self.registry)
        self.http = AsyncClient(
            transport=ASGITransport(self.service.app, raise_app_exceptions=False), base_url="http://ingest"
        )

    async def post(self, path: str, content: Any, headers: dict[str, str] = JSON) -> Response:
        return await self.http.post(path, content=content, headers=headers)

    def records(self) -> list[StoredRecord]:
        return [record for number in range(3) for record in self.broker.log(TopicPartition("pins", number))]

    def at(self, receipt: dict[str, Any]) -> StoredRecord:
        assert receipt["log"] == log_name(self.broker.topic("pins").topic_id)
        log = self.broker.log(TopicPartition(receipt["topic"], receipt["partition"]))
        return next(record for record in log if record.offset == receipt["offset"])

    async def until_ready(self, *, ready: bool = True) -> None:
        async with asyncio.timeout(10):
            while (await self.http.get("/health/ready")).is_success != ready:
                await asyncio.sleep(0.01)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    stop = asyncio.Event()
    running = asyncio.ensure_future(world.service.worker(stop))
    await world.until_ready()
    yield world
    stop.set()
    await running
    await world.http.aclose()


async def test_a_receipt_names_where_the_pin_is(world: World) -> None:
    body = '{"index": 1, "unique_id": "FBE53C66-3442-4773-B19E-D3EC6F54DDDF", "title": "Ёлка ®"}'.encode()
    answer = await world.post("/pin/", body)
    assert answer.status_code == 200
    receipt = answer.json()
    record = world.at(receipt)
    assert record.value == body
    assert record.key == b"fbe53c66-3442-4773-b19e-d3ec6f54dddf"
    assert record.headers == [("schema", b"pin/1")]
    assert record.timestamp == receipt["timestamp"]
    assert world.metric("pinflow_ingest_pins_accepted_total") == 1


async def test_the_path_works_without_its_slash(world: World) -> None:
    assert (await world.post("/pin", encoded(a_pin()))).status_code == 200


async def test_a_slash_at_the_end_changes_nothing(world: World) -> None:
    answer = await world.post("/pins/", encoded([a_pin()]))
    assert answer.status_code == 200
    assert len(answer.json()["receipts"]) == 1


@pytest.mark.parametrize("path", ["/docs/", "/metrics/", "/health/ready/", "/pin//"])
async def test_nothing_is_redirected_to_an_address_that_only_a_proxy_knows(world: World, path: str) -> None:
    assert (await world.http.get(path)).status_code == 404


async def test_a_pretty_printed_pin_is_one_line_in_the_topic(world: World) -> None:
    pin = a_pin(title="two\nlines")
    await world.post("/pin/", json.dumps(pin, indent=2).encode())
    (record,) = world.records()
    assert record.value is not None
    assert b"\n" not in record.value
    assert json.loads(record.value) == pin


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (JSON, encoded([a_pin(index) for index in range(100)])),
        (NDJSON, b"\n".join(encoded(a_pin(index)) for index in range(100)) + b"\n\n"),
    ],
    ids=["array", "ndjson"],
)
async def test_receipts_come_in_the_order_of_the_pins(
    world: World, headers: dict[str, str], body: bytes
) -> None:
    answer = await world.post("/pins", body, headers)
    receipts = answer.json()["receipts"]
    assert [json.loads(world.at(receipt).value or b"")["index"] for receipt in receipts] == list(range(100))
    assert len({(receipt["partition"], receipt["offset"]) for receipt in receipts}) == 100


async def test_concurrent_pins_share_batches_and_keep_their_own_receipts(world: World) -> None:
    answers = await asyncio.gather(*(world.post("/pin/", encoded(a_pin(index))) for index in range(200)))
    for index, answer in enumerate(answers):
        assert json.loads(world.at(answer.json()).value or b"")["index"] == index
    assert world.metric("pinflow_ingest_batch_records_count") < 200


async def test_a_request_larger_than_a_batch_is_sent_in_several(world: World) -> None:
    pins = [{"index": index, "unique_id": str(uuid.UUID(int=7))} for index in range(900)]
    first, second = await asyncio.gather(*(world.post("/pins", encoded(pins)) for _ in range(2)))
    offsets = [receipt["offset"] for answer in (first, second) for receipt in answer.json()["receipts"]]
    assert sorted(offsets) == list(range(1800))
    assert offsets[:900] == sorted(offsets[:900])


REFUSED = {
    "not JSON": (b"{", 400, "not_json", None),
    "not UTF-8": (b'{"title": "\xff"}', 400, "not_utf8", None),
    "not an object": (b"[1]", 422, "not_an_object", None),
    "a text field that is a number": (encoded(a_pin(title=5)), 422, "wrong_type", "title"),
    "a boolean as an integer": (encoded(a_pin(downloaded=True)), 422, "wrong_type", "downloaded"),
    "a negative index": (encoded(a_pin() | {"index": -1}), 422, "out_of_range", "index"),
    "no unique_id": (b'{"index": 1}', 422, "missing", "unique_id"),
    "a unique_id that is no UUID": (b'{"index": 1, "unique_id": "7"}', 422, "not_a_uuid", "unique_id"),
    "a text that is too long": (encoded(a_pin(title="x" * 20_000)), 422, "too_long", "title"),
    "a NUL character": (encoded(a_pin(title="\0")), 422, "nul_character", "title"),
    "a lone surrogate": (b'{"index":1,"unique_id":"%b","title":"\\ud800"}' % str(uuid.UUID(int=1)).encode(),
                         422, "lone_surrogate", "title"),
    "a pin that is too large": (encoded(a_pin(x="x" * 70_000)), 413, "too_large", None),
}  # fmt: skip


@pytest.mark.parametrize(("body", "status", "rule", "field"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_bad_pin_is_refused_by_field_and_rule(
    world: World, body: bytes, status: int, rule: str, field: str | None
) -> None:
    answer = await world.post("/pin/", body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert problem["status"] == status
    assert (problem["errors"][0]["rule"], problem["errors"][0]["field"]) == (rule, field)
    assert world.records() == []


async def test_one_bad_pin_refuses_its_request_and_is_named_by_position(world: World) -> None:
    answer = await world.post("/pins", encoded([a_pin(1), a_pin(2, category=3), a_pin(3)]))
    problem = answer.json()
    assert answer.status_code == 422
    assert "1 of 3 pins are invalid, none was stored; pin 1: category" in problem["detail"]
    assert [(error["pin"], error["field"]) for error in problem["errors"]] == [(1, "category")]
    assert world.records() == []


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{}", 400, "not-json"),
        (b"[", 400, "not-json"),
        (b"[]", 400, "no-pins"),
        (b"[" + b",".join([b"{}"] * 1001) + b"]", 413, "too-many-pins"),
        (b" " * 200_000, 413, "too-large"),
    ],
)
async def test_a_bad_array_is_refused(world: World, body: bytes, status: int, kind: str) -> None:
    answer = await world.post("/pins", body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:pinflow:problem:{kind}")


async def test_another_content_type_is_refused_by_name(world: World) -> None:
    answer = await world.post("/pin/", encoded(a_pin()), {"content-type": "text/plain"})
    assert answer.status_code == 415
    assert "Content-Type is 'text/plain'; /pin/ takes application/json" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"content-encoding": "gzip"}, "Content-Encoding is 'gzip'"),
        ({"content-type": "application/json; charset=latin-1"}, "the charset is 'latin-1'"),
        ({"content-type": "application/json;charset=UTF-16"}, "the charset is 'utf-16'"),
    ],
)
@pytest.mark.parametrize("path", ["/pin/", "/pins"])
async def test_what_would_need_decoding_is_refused_by_name(
    world: World, path: str, headers: dict[str, str], found: str
) -> None:
    answer = await world.post(path, encoded(a_pin()), JSON | headers)
    assert (answer.status_code, world.records()) == (415, [])
    assert found in answer.json()["detail"]


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf8"', "us-ascii"])
async def test_utf8_by_any_of_its_names_is_taken(world: World, charset: str) -> None:
    headers = {"content-type": f"application/json; charset={charset}", "content-encoding": "identity"}
    assert (await world.post("/pin/", encoded(a_pin()), headers)).status_code == 200


async def test_another_path_or_method_is_a_problem_too(world: World) -> None:
    assert (await world.http.get("/nothing")).json()["status"] == 404
    assert (await world.http.get("/pins")).json()["status"] == 405


async def test_a_body_that_does_not_come_is_given_up(world: World) -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(2)
        yield b"}"

    answer = await world.post("/pin/", drip())
    assert answer.status_code == 408


async def test_a_body_of_unknown_length_is_cut_at_the_limit(world: World) -> None:
    async def flood() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 10_000

    assert (await world.post("/pin/", flood())).status_code == 413


async def test_unknown_fields_are_accepted_and_counted(world: World) -> None:
    assert (await world.post("/pin/", encoded(a_pin(colour="red", size=[1])))).status_code == 200
    assert world.metric("pinflow_ingest_unknown_fields_total") == 2


async def test_silence_from_kafka_is_a_503_in_time_and_then_at_once(world: World) -> None:
    world.broker.silent = True
    started = time.monotonic()
    answer = await world.post("/pin/", encoded(a_pin(1)))
    assert answer.status_code == 503
    assert time.monotonic() - started < 2
    assert int(answer.headers["retry-after"]) >= 1
    assert "may be stored" in answer.json()["detail"]
    # The same partition is known to be stuck: nothing more is sent there, nobody waits.
    answer = await world.post("/pin/", encoded(a_pin(1)))
    assert answer.status_code == 503
    assert "none of these pins was sent" in answer.json()["detail"]
    await world.until_ready(ready=False)


async def test_what_was_given_up_before_it_was_sent_is_never_sent(world: World) -> None:
    world.broker.silent = True
    first, second = a_pin(1, title="first"), a_pin(1, title="second")
    in_flight = asyncio.create_task(world.post("/pin/", encoded(first)))
    await asyncio.sleep(0.05)
    queued = await world.post("/pin/", encoded(second))
    assert (await in_flight).status_code == queued.status_code == 503
    assert "were not sent" in queued.json()["detail"]
    world.broker.silent = False
    world.producer.answer_late()
    await asyncio.sleep(0.05)
    await world.until_ready()
    third = await world.post("/pin/", encoded(a_pin(1, title="third")))
    assert third.status_code == 200, third.json()
    assert [json.loads(record.value or b"")["title"] for record in world.records()] == ["first", "third"]
    assert world.metric("pinflow_ingest_pending_bytes") == 0


async def test_a_batch_says_which_of_its_pins_are_confirmed(world: World) -> None:
    world.broker.silent_partitions = {0}
    answer = await world.post("/pins", encoded([a_pin(index) for index in range(50)]))
    assert answer.status_code == 503
    receipts = answer.json()["receipts"]
    confirmed = [index for index, receipt in enumerate(receipts) if receipt]
    assert 0 < len(confirmed) < 50
    for index in confirmed:
        assert json.loads(world.at(receipts[index]).value or b"")["index"] == index
    assert len(world.records()) == len(confirmed)


async def test_a_full_queue_is_a_429_and_sends_nothing(world: World) -> None:
    world.broker.silent = True
    big = [a_pin(index, title="x" * 1000) for index in range(100)]
    waiting = asyncio.create_task(world.post("/pins", encoded(big)))
    await asyncio.sleep(0.05)
    answer = await world.post("/pins", encoded(big))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert (await waiting).status_code == 503


async def never_read() -> AsyncIterator[bytes]:
    raise AssertionError("the body was read")
    yield b""


async def test_a_body_that_does_not_fit_is_refused_before_it_is_read(world: World) -> None:
    world.broker.silent = True
    waiting = asyncio.create_task(
        world.post("/pins", encoded([a_pin(n, title="x" * 1000) for n in range(100)]))
    )
    await asyncio.sleep(0.05)
    answer = await world.post("/pins", never_read(), NDJSON | {"content-length": "100000"})
    assert answer.status_code == 429
    assert (await world.post("/pin/", encoded(a_pin(1)))).status_code == 503, "a single pin still fits"
    await waiting


async def test_a_body_of_unknown_length_is_admitted_chunk_by_chunk(world: World) -> None:
    read = 0

    async def flood() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(12):
            read += 1
            yield b" " * 10_000

    world.broker.silent = True
    waiting = asyncio.create_task(
        world.post("/pins", encoded([a_pin(n, title="x" * 1000) for n in range(100)]))
    )
    await asyncio.sleep(0.05)
    assert (await world.post("/pins", flood(), NDJSON)).status_code == 429
    assert read < 12
    await waiting


async def test_while_kafka_is_away_no_body_is_read() -> None:
    world = World()
    answer = await world.post("/pins", never_read(), NDJSON | {"content-length": "100000"})
    assert answer.status_code == 503
    await world.http.aclose()


async def test_what_kafka_refuses_for_good_concerns_nobody_else(world: World) -> None:
    world.broker.max_batch_bytes = 2000
    small = [world.post("/pin/", encoded(a_pin(index))) for index in range(300)]
    large = [world.post("/pin/", encoded(a_pin(index, title="x" * 3000))) for index in range(1000, 1010)]
    answers = await asyncio.gather(*small[:150], *large, *small[150:])
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200] * 150 + [413] * 10 + [200] * 150
    problem = answers[150].json()
    assert problem["type"] == "urn:pinflow:problem:refused-by-kafka"
    assert problem["errors"][0]["rule"] == "too_large_for_topic"
    assert len(world.records()) == 300
    assert world.producer.starts == 1, "no connection was given up"
    assert world.metric("pinflow_ingest_pending_bytes") == 0


async def test_the_answer_names_the_pins_that_kafka_refuses(world: World) -> None:
    world.broker.max_batch_bytes = 2000
    pins = [a_pin(index, title="x" * (3000 if index in {7, 30} else 10)) for index in range(40)]
    answer = await world.post("/pins", encoded(pins))
    assert answer.status_code == 413
    problem = answer.json()
    assert sorted(error["pin"] for error in problem["errors"]) == [7, 30]
    for index, receipt in enumerate(problem["receipts"]):
        assert (receipt is None) == (index in {7, 30})
        assert receipt is None or json.loads(world.at(receipt).value or b"")["index"] == index
    assert len(world.records()) == 38


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "PROBE_SECONDS", 0.05)
    monkeypatch.setattr(publisher, "RECONNECT_SECONDS", 0.05)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("count", [1, 2, 5])
async def test_partitions_come_and_go(world: World, count: int) -> None:
    if count > 3:
        world.broker.add_partitions("pins", count)
    else:
        world.broker.recreate_topic("pins", count)
    async with asyncio.timeout(20):
        while True:
            answers = await asyncio.gather(*(world.post("/pin/", encoded(a_pin(n))) for n in range(50)))
            assert {answer.status_code for answer in answers} <= {200, 503}
            used = {answer.json().get("partition") for answer in answers}
            if used == set(range(count)):
                break
            await asyncio.sleep(0.05)
    assert (world.producer.starts == 1) == (count > 3), "more partitions disturb nobody"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("refilled", [0, 50])
@pytest.mark.parametrize("seen_by", ["a batch", "the probe"])
async def test_a_receipt_names_the_log_that_holds_its_pin(
    world: World, monkeypatch: pytest.MonkeyPatch, refilled: int, seen_by: str
) -> None:
    before = (await world.post("/pins", encoded([a_pin(index) for index in range(60)]))).json()["receipts"]
    if seen_by == "a batch":
        monkeypatch.setattr(publisher, "PROBE_SECONDS", 3600)
        await asyncio.sleep(0.1)
    world.broker.recreate_topic("pins")
    for number in range(3):
        for _ in range(refilled):
            world.broker.append(TopicPartition("pins", number), b"of somebody else")
    if seen_by == "the probe":
        async with asyncio.timeout(5):
            while world.producer.starts < 2:
                await asyncio.sleep(0.01)
    else:
        answer = await world.post("/pin/", encoded(a_pin()))
        assert answer.status_code == 503
        assert "created again" in answer.json()["detail"]
    await world.until_ready()
    answer = await world.post("/pins", encoded([a_pin(index) for index in range(60)]))
    for index, receipt in enumerate(answer.json()["receipts"]):
        assert json.loads(world.at(receipt).value or b"")["index"] == index
    assert before[0]["log"] != answer.json()["receipts"][0]["log"]
    assert len(world.records()) == 3 * refilled + 60, "nothing came in without a receipt"


@pytest.mark.usefixtures("quick")
async def test_a_pin_on_its_way_to_a_log_that_is_no_more_gets_no_receipt(world: World) -> None:
    world.broker.silent = True
    waiting = asyncio.create_task(world.post("/pin/", encoded(a_pin())))
    await asyncio.sleep(0.02)
    world.broker.recreate_topic("pins")
    world.broker.silent = False
    world.producer.answer_late()
    assert "created again" in (await waiting).json()["detail"]
    assert world.records() == []
    await world.until_ready()
    assert (await world.post("/pin/", encoded(a_pin()))).status_code == 200


async def test_a_pins_partition_is_the_one_that_kafkas_own_clients_choose(world: World) -> None:
    for index in range(20):
        receipt = (await world.post("/pin/", encoded(a_pin(index)))).json()
        key = world.at(receipt).key
        assert receipt["partition"] == DefaultPartitioner()(key, range(3), range(3))


async def test_many_errors_are_counted_and_the_first_hundred_named(world: World) -> None:
    bad = {"index": -1} | {f"f{n}": 2**70 for n in range(10)}
    answer = await world.post("/pins", encoded([a_pin(n) | bad for n in range(150)]))
    assert answer.status_code == 422
    assert "150 of 150 pins are invalid" in answer.json()["detail"]
    assert len(answer.json()["errors"]) == 100


async def test_a_dead_sender_is_replaced_and_the_queue_is_given_back(world: World) -> None:
    world.broker.silent = True
    waiting = asyncio.create_task(world.post("/pin/", encoded(a_pin(1))))
    await asyncio.sleep(0.05)
    world.broker.silent = False
    world.producer.fail_unanswered("OutOfOrderSequenceNumber")
    assert (await waiting).status_code == 503
    async with asyncio.timeout(5):
        while world.producer.starts < 2:
            await asyncio.sleep(0.01)
    await world.until_ready()
    assert (await world.post("/pin/", encoded(a_pin(1)))).status_code == 200
    assert world.metric("pinflow_ingest_pending_bytes") == 0


async def test_kafka_may_come_after_the_service() -> None:
    world = World()
    world.broker.away = True
    stop = asyncio.Event()
    running = asyncio.ensure_future(world.service.worker(stop))
    await asyncio.sleep(0.05)
    answer = await world.post("/pin/", encoded(a_pin()))
    assert answer.status_code == 503
    assert "the broker is away" in answer.json()["detail"]
    assert (await world.http.get("/health/ready")).json()["dependencies"]["kafka"][
        "why"
    ] == "the broker is away"
    world.broker.away = False
    await world.until_ready()
    assert (await world.post("/pin/", encoded(a_pin()))).status_code == 200
    stop.set()
    await running


async def test_the_documentation_describes_the_contract(world: World) -> None:
    document = (await world.http.get("/openapi.json")).json()
    assert set(document["paths"]) == {"/pin/", "/pins"}
    assert document["components"]["schemas"]["RawPin"]["required"] == ["index", "unique_id"]
    assert (await world.http.get("/docs")).status_code == 200


async def test_a_bug_is_answered_and_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Publisher, "publish", broken)
    answer = await world.post("/pin", encoded(a_pin()))
    assert (answer.status_code, answer.json()["status"]) == (500, 500)
    assert world.metric("pinflow_ingest_request_seconds_count", route="/pin/", status="500") == 1
