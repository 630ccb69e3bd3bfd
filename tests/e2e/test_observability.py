"""The whole line, watched: targets, rules, an alert that fires, and an answer for every panel."""

import asyncio
import json
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer
from batch_etl.exits import Exit
from dashboards.queries import PanelQuery, panel_queries
from native_stack.clients import topic_settings
from native_stack.observers import OBSERVERS, SCRAPED_SERVICES
from native_stack.stack import Stack
from pin_emulator.traffic import traffic
from service_runtime.kafka import client_options

PATIENCE_SECONDS = 60
# JMX, the exporters and Airflow are the compose stack's alone.
ELSEWHERE = re.compile(r"\b(kafka|cassandra|jvm|pg|redis|node|airflow|pinflow_dag|pinflow_health)_")


@dataclass
class Watched:
    """A stack with those who watch it."""

    stack: Stack
    http: aiohttp.ClientSession
    answered: set[PanelQuery] = field(default_factory=set)

    async def prometheus(self, path: str, **query: str) -> Any:
        """The `data` of an answer of Prometheus."""
        url = f"http://127.0.0.1:{self.stack.settings.prometheus_port}/api/v1/{path}"
        async with self.http.get(url, params=query) as answer:
            body = await answer.json()
        assert body["status"] == "success", body
        return body["data"]

    async def alerts_shown(self) -> list[dict[str, Any]]:
        """What Alertmanager shows."""
        url = f"http://127.0.0.1:{self.stack.settings.alertmanager_port}/api/v2/alerts"
        async with self.http.get(url) as answer:
            shown: list[dict[str, Any]] = await answer.json()
        return shown

    async def post(self, *pins: bytes) -> int:
        """Post pins in one request; return the status."""
        headers = {"Content-Type": "application/x-ndjson"}
        url = f"{self.stack.settings.ingest_url}/pins"
        async with self.http.post(url, data=b"\n".join(pins), headers=headers) as answer:
            return answer.status

    async def ask(self, queries: list[PanelQuery]) -> None:
        """Note which queries have an answer now: at least one series, with a number."""
        for query in queries:
            series = (await self.prometheus("query", query=query.expr))["result"]
            if any(not math.isnan(float(each["value"][1])) for each in series):
                self.answered.add(query)


async def eventually(holds: Callable[[], Awaitable[Any]]) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not await holds():
        assert time.monotonic() < give_up, "it did not come true"
        await asyncio.sleep(0.5)


@pytest.fixture(scope="module")
async def watched(stack: Stack) -> AsyncIterator[Watched]:
    """Services and watchers up, one record in the topic that is no pin, one post refused, one batch run."""
    await asyncio.to_thread(stack.up, only=[s.name for s in SCRAPED_SERVICES], observe=True)
    async with aiohttp.ClientSession() as http:
        watched = Watched(stack, http)
        assert await watched.post(*islice(traffic(1), 100)) == 200
        assert await watched.post(b"{}") == 422
        async with AIOKafkaProducer(**client_options(topic_settings(stack))) as producer:
            await producer.send_and_wait("pins", b"no pin")
        yield watched
    await asyncio.gather(*(asyncio.to_thread(stack.stop, observer.name) for observer in OBSERVERS))


async def test_every_panel_has_an_answer(watched: Watched) -> None:
    here = [query for query in panel_queries() if not ELSEWHERE.search(query.expr)]
    assert len(here) > 50
    # A day without pins takes a second, where a run that loads takes a Spark; both report.
    job = watched.stack.job("batch-etl", "run", "--date", "2001-01-01")
    batch = await asyncio.create_subprocess_exec(
        *job.command, env=job.environment, stdout=asyncio.subprocess.DEVNULL
    )
    assert await batch.wait() == Exit.NOTHING_TO_DO
    pins = traffic(2)

    async def all_answered() -> bool:
        assert await watched.post(*islice(pins, 10)) == 200
        await watched.ask([query for query in here if query not in watched.answered])
        return len(watched.answered) == len(here)

    try:
        await eventually(all_answered)
    except AssertionError:
        pytest.fail(f"no data for {json.dumps([q for q in here if q not in watched.answered], indent=1)}")


async def test_every_target_is_up(watched: Watched) -> None:
    async def all_up() -> bool:
        targets = (await watched.prometheus("targets"))["activeTargets"]
        found = {target["labels"]["job"]: target["health"] for target in targets}
        expected = {program.name for program in (*SCRAPED_SERVICES, *OBSERVERS)}
        return found == dict.fromkeys(expected, "up")

    await eventually(all_up)


async def test_the_rules_are_judged_without_an_error(watched: Watched) -> None:
    groups = (await watched.prometheus("rules"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) >= 15
    assert {(rule["name"], rule["health"]) for rule in rules} == {(rule["name"], "ok") for rule in rules}


async def test_a_record_that_is_no_pin_is_an_alert_with_its_runbook(watched: Watched) -> None:
    async def shown() -> bool:
        alerts = {
            alert["labels"]["alertname"]: alert["annotations"] for alert in await watched.alerts_shown()
        }
        return bool(alerts.get("DeadLetters", {}).get("runbook") == "docs/runbooks/dead-letters.md")

    await eventually(shown)


async def test_a_service_that_is_stopped_is_noticed(watched: Watched) -> None:
    async def noticed() -> bool:
        alerts = (await watched.prometheus("alerts"))["alerts"]
        down = {alert["labels"]["job"] for alert in alerts if alert["labels"]["alertname"] == "TargetDown"}
        return down == {"s3-sink"}

    await asyncio.to_thread(watched.stack.stop, "s3-sink")
    try:
        await eventually(noticed)
    finally:
        await asyncio.to_thread(watched.stack.start, "s3-sink")


async def test_the_status_shows_who_watches(watched: Watched) -> None:
    status = watched.stack.status()
    assert {observer.name: status[observer.name].waits_for for observer in OBSERVERS} == dict.fromkeys(
        observer.name for observer in OBSERVERS
    )
