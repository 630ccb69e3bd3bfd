"""The HTTP client against a real little server that fails on purpose."""

import asyncio
import json
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from pin_emulator import poster
from pin_emulator.answers import Receipt
from pin_emulator.poster import GaveUpError, post
from pin_emulator.retry import LONGEST_WAIT, backoff, retry_after
from pin_emulator.summary import Latencies, Summary

PINS = [json.dumps({"index": index, "unique_id": f"pin {index} é"}).encode() for index in range(50)]

Fault = Callable[["Ingest", web.Request], Awaitable[web.Response]]


class Ingest:
    """Keeps pins in a log, whose positions are the offsets; each fault is met by one request."""

    def __init__(self, *faults: Fault) -> None:
        self.log: list[bytes] = []
        self.faults = deque(faults)
        self.fired: list[float] = []
        self.requests: list[tuple[float, str, str, list[bytes]]] = []
        self.asked_again = asyncio.Event()
        self.in_flight = self.most_in_flight = 0
        app = web.Application()
        app.router.add_post("/pin/", self.answer)
        app.router.add_post("/pins", self.answer)
        self.server = TestServer(app)

    async def __aenter__(self) -> "Ingest":
        await self.server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.close()

    @property
    def url(self) -> str:
        return str(self.server.make_url("/"))

    async def answer(self, request: web.Request) -> web.Response:
        pins = (await request.read()).splitlines()
        self.requests.append((time.monotonic(), request.path, request.content_type, pins))
        if len(self.requests) > 1:
            self.asked_again.set()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.faults:
                fault = self.faults.popleft()
                self.fired.append(time.monotonic())
                return await fault(self, request)
            await asyncio.sleep(0.001)
            receipts = [self.store(pin) for pin in pins]
            return web.json_response({"receipts": receipts} if request.path == "/pins" else receipts[0])
        finally:
            self.in_flight -= 1

    def store(self, pin: bytes) -> dict[str, Any]:
        self.log.append(pin)
        at = {"partition": 0, "offset": len(self.log) - 1, "timestamp": 1_700_000_000_000}
        return {"topic": "pins", "log": "t01234567", **at}


def problem(status: int, headers: dict[str, str] | None = None, **more: Any) -> web.Response:
    body = {"type": "about:blank", "title": "On purpose", "status": status, "detail": "a fault", **more}
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")


def status(code: int, **headers: str) -> Fault:
    async def fault(_: Ingest, __: web.Request) -> web.Response:
        return problem(code, {name.replace("_", "-"): value for name, value in headers.items()})

    return fault


async def reset(_: Ingest, request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def store_then_reset(ingest: Ingest, request: web.Request) -> web.Response:
    for pin in (await request.read()).splitlines():
        ingest.store(pin)
    return await reset(ingest, request)


async def store_every_other(ingest: Ingest, request: web.Request) -> web.Response:
    pins = (await request.read()).splitlines()
    receipts = [ingest.store(pin) if place % 2 == 0 else None for place, pin in enumerate(pins)]
    return problem(503, receipts=receipts)


async def hang_until_asked_again(ingest: Ingest, _: web.Request) -> web.Response:
    await ingest.asked_again.wait()
    return problem(500)


async def lose_a_receipt(ingest: Ingest, request: web.Request) -> web.Response:
    receipts = [ingest.store(pin) for pin in (await request.read()).splitlines()]
    return web.json_response({"receipts": receipts[1:]})


class Positions:
    """Checks each receipt against the server's log."""

    def __init__(self, ingest: Ingest) -> None:
        self.ingest = ingest
        self.confirmed: list[bytes] = []

    def __call__(self, pairs: list[tuple[bytes, Receipt]]) -> None:
        for pin, receipt in pairs:
            assert self.ingest.log[receipt["offset"]] == pin
            self.confirmed.append(pin)


async def deliver(ingest: Ingest, **options: Any) -> Summary:
    """Post PINS; afterwards each has exactly one receipt, for a position that holds it."""
    positions = Positions(ingest)
    summary = await post(PINS, url=ingest.url, on_receipts=positions, **options)
    assert sorted(positions.confirmed) == sorted(PINS)
    assert summary.posted == len(PINS)
    assert summary.refused == summary.unconfirmed == 0
    return summary


async def test_each_pin_alone_is_posted_as_its_own_bytes() -> None:
    async with Ingest() as ingest:
        summary = await deliver(ingest)
    assert sorted(ingest.log) == sorted(PINS)
    assert {(path, kind) for _, path, kind, _ in ingest.requests} == {("/pin/", "application/json")}
    assert not summary.retries
    assert summary.as_dict()["latency_ms"]["p50"] > 0


async def test_a_batch_is_one_request_with_a_pin_a_line() -> None:
    async with Ingest() as ingest:
        await deliver(ingest, batch_size=20)
    assert {(path, kind) for _, path, kind, _ in ingest.requests} == {("/pins", "application/x-ndjson")}
    assert sorted(len(pins) for *_, pins in ingest.requests) == [10, 20, 20]
    assert sorted(ingest.log) == sorted(PINS)


async def test_no_more_requests_are_in_flight_than_connections() -> None:
    async with Ingest() as ingest:
        await deliver(ingest, connections=4)
    assert ingest.most_in_flight == 4


@pytest.mark.parametrize("code", [429, 500, 502, 503])
async def test_a_server_that_cannot_now_is_asked_again(code: int) -> None:
    async with Ingest(status(code), status(code)) as ingest:
        summary = await deliver(ingest)
    assert len(ingest.fired) == 2
    assert summary.retries == {f"HTTP {code}": 2}
    assert sorted(ingest.log) == sorted(PINS)


async def test_retry_after_in_seconds_is_waited_for() -> None:
    async with Ingest(status(503, Retry_After="1")) as ingest:
        await deliver(ingest, connections=1)
    again = ingest.requests[1]
    assert again[3] == ingest.requests[0][3]
    assert 1.0 <= again[0] - ingest.fired[0] < 2.0


async def test_a_reset_connection_is_tried_again() -> None:
    async with Ingest(reset, reset) as ingest:
        summary = await deliver(ingest)
    assert len(ingest.fired) == 2
    assert summary.retries == {"connection lost": 2}


async def test_a_pin_whose_answer_got_lost_is_posted_again_and_counted_once() -> None:
    async with Ingest(store_then_reset) as ingest:
        await deliver(ingest)
    assert len(ingest.fired) == 1
    assert len(ingest.log) == len(PINS) + 1


async def test_only_the_unconfirmed_pins_of_a_batch_are_posted_again() -> None:
    async with Ingest(store_every_other, store_every_other) as ingest:
        summary = await deliver(ingest, batch_size=len(PINS))
    assert len(ingest.fired) == 2
    assert [len(pins) for *_, pins in ingest.requests] == [50, 25, 12]
    assert sorted(ingest.log) == sorted(PINS)
    assert summary.retries == {"HTTP 503": 2}


async def test_a_request_without_an_answer_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poster, "REQUEST_TIMEOUT", 0.5)
    async with Ingest(hang_until_asked_again) as ingest:
        summary = await deliver(ingest, connections=1)
    assert len(ingest.fired) == 1
    assert list(summary.retries) == ["no answer within 0.5 s"]


async def test_an_answer_without_all_its_receipts_confirms_nothing() -> None:
    async with Ingest(lose_a_receipt) as ingest:
        summary = await deliver(ingest, batch_size=10)
    assert len(ingest.fired) == 1
    assert summary.retries == {"answer without receipts": 1}


async def test_a_refusal_is_final_and_the_first_few_reasons_are_kept() -> None:
    async with Ingest(*[status(422)] * 8) as ingest:
        summary = await post(PINS, url=ingest.url, connections=4)
    assert len(ingest.fired) == 8
    assert len(ingest.requests) == len(PINS)
    assert (summary.posted, summary.refused) == (len(PINS) - 8, 8)
    assert [str(reason) for reason in summary.problems] == ["422 On purpose: a fault"] * 5


async def test_a_redirect_is_not_followed_but_refused() -> None:
    async with Ingest(status(307, Location="/pins")) as ingest:
        summary = await post(PINS[:1], url=ingest.url)
    assert len(ingest.requests) == len(ingest.fired) == 1
    assert (summary.posted, summary.refused) == (0, 1)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_it_gives_up_when_nothing_listens_and_names_the_address() -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    seen: list[str | None] = []
    with pytest.raises(GaveUpError, match=url) as error:
        await post(
            PINS,
            url=url,
            connections=2,
            give_up_after=0.5,
            on_progress=lambda summary: seen.append(summary.waiting_for),
        )
    assert error.value.summary.unconfirmed == 2
    assert set(seen) == {"no connection"}
    assert 0.5 <= error.value.summary.seconds < 3


async def test_a_long_retry_after_does_not_outlast_the_give_up_time() -> None:
    async with Ingest(*[status(503, Retry_After="3600")] * 2) as ingest:
        with pytest.raises(GaveUpError, match="HTTP 503"):
            await post(PINS, url=ingest.url, connections=1, give_up_after=0.3)
    assert len(ingest.fired) == 2


async def test_pins_wait_for_a_server_that_starts_late() -> None:
    ingest = Ingest()
    port = unused_port()
    ingest.server = TestServer(ingest.server.app, port=port)
    posting = asyncio.create_task(post(PINS, url=f"http://127.0.0.1:{port}"))
    await asyncio.sleep(0.3)
    async with ingest:
        summary = await posting
    assert summary.posted == len(PINS)
    assert summary.retries["no connection"] > 0


async def test_waiting_for_pins_is_no_lack_of_progress() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield PINS[0]
        await asyncio.sleep(0.6)
        yield PINS[1]

    async with Ingest() as ingest:

        def break_down(_: Summary) -> None:
            if len(ingest.log) == 1 and not ingest.fired:
                ingest.faults.extend([status(503)])

        summary = await post(slow(), url=ingest.url, give_up_after=0.5, on_progress=break_down)
    assert len(ingest.fired) == 1
    assert summary.posted == 2


async def test_once_stopped_it_sends_nothing_more_and_says_what_is_unconfirmed() -> None:
    stop = asyncio.Event()

    def stop_after_three(summary: Summary) -> None:
        if summary.retries.total() == 3:
            stop.set()

    async with Ingest(*[status(503, Retry_After="60")] * 3) as ingest:
        posting = post(PINS, url=ingest.url, connections=3, stop=stop, on_progress=stop_after_three)
        summary = await asyncio.wait_for(posting, 1)
    assert len(ingest.fired) == len(ingest.requests) == 3
    assert (summary.posted, summary.unconfirmed) == (0, 3)


async def test_what_a_callback_raises_ends_the_run() -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    async with Ingest() as ingest:
        with pytest.raises(ZeroDivisionError):
            await post(PINS, url=ingest.url, on_receipts=fail)


@pytest.mark.parametrize(("header", "seconds"), [(None, None), ("7", 7.0), ("soon", None), ("", None)])
def test_retry_after_is_read_as_seconds(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


@pytest.mark.parametrize(("ahead", "seconds"), [(30, 30.0), (-30, 0.0)])
def test_retry_after_is_read_as_a_date(ahead: int, seconds: float) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=ahead)
    assert retry_after(format_datetime(moment, usegmt=True)) == pytest.approx(seconds, abs=2)


@given(attempt=st.integers(min_value=0, max_value=10_000))
def test_a_backoff_is_positive_and_at_most_five_seconds(attempt: int) -> None:
    assert 0 < backoff(attempt) <= LONGEST_WAIT


@given(st.lists(st.floats(min_value=0.01, max_value=10_000), min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_percentiles_are_exact_to_one_percent(latencies: list[float], share: float) -> None:
    kept = Latencies()
    for latency in latencies:
        kept.add(latency)
    rank = next(n for n in range(1, len(latencies) + 1) if n >= share * len(latencies))
    assert kept.percentile(share) == pytest.approx(sorted(latencies)[rank - 1], rel=0.0101)
    assert kept.as_dict()["max"] == round(max(latencies), 2)
