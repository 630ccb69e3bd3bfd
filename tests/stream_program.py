"""stream-etl as a process of its own, beside the servers of a stack."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from native_stack import builds
from native_stack.clients import live_dsn
from native_stack.stack import Stack
from prometheus_client.parser import text_string_to_metric_families

PATIENCE_SECONDS = 120


@dataclass
class Process:
    """One run of the program."""

    process: asyncio.subprocess.Process
    url: str
    session: aiohttp.ClientSession

    async def readiness(self) -> dict[str, str]:
        """What it waits for, and why; empty before it listens."""
        try:
            async with self.session.get(f"{self.url}/health/ready") as answer:
                report: dict[str, Any] = await answer.json()
        except aiohttp.ClientConnectionError:
            return {}
        return {name: entry.get("why", "up") for name, entry in report["dependencies"].items()}

    async def metrics(self) -> dict[tuple[str, ...], float]:
        """Samples by name and label values (in the order of their names); empty before it listens."""
        try:
            async with self.session.get(f"{self.url}/metrics") as answer:
                text = await answer.text()
        except aiohttp.ClientConnectionError:
            return {}
        families = text_string_to_metric_families(text)
        return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}

    async def until(self, what: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """Wait until the readiness is so."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not what(found := await self.readiness()):
                assert self.process.returncode is None, "the process has ended"
                await asyncio.sleep(0.2)
        return found

    async def until_metric(
        self, value: Callable[[float], bool], *sample: str, seconds: float = PATIENCE_SECONDS
    ) -> float:
        """Wait until the sample has such a value, and return it."""
        async with asyncio.timeout(seconds):
            while not value(found := (await self.metrics()).get(sample, 0)):
                assert self.process.returncode is None, "the process has ended"
                await asyncio.sleep(0.2)
        return found

    async def end(self, number: signal.Signals) -> int:
        """Send the signal to the process and what it started, as a supervisor does; return the exit code."""
        os.killpg(self.process.pid, number)
        return await self.process.wait()


def free_port() -> str:
    """A port nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@asynccontextmanager
async def stream_etl(
    stack: Stack, topic: str, checkpoint: Path, log: Path, **more: str
) -> AsyncIterator[Process]:
    """Start the program, with more settings; end it unless the block has."""
    port = free_port()
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": stack.settings.kafka_address,
        "KAFKA_TOPIC": topic,
        "POSTGRES_DSN": live_dsn(stack),
        "SPARK_MASTER": "local[2]",
        "SPARK_JARS_DIR": str(builds.SPARK.entry(stack.settings.cache_dir)),
        "CHECKPOINT_DIR": str(checkpoint),
        "TRIGGER_SECONDS": "0.2",
        "HTTP_PORT": port,
    } | more
    environment = os.environ | {f"STREAM_{name}": value for name, value in settings.items()}
    program = Path(sys.executable).parent / "stream-etl"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            program, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    async with aiohttp.ClientSession() as session:
        run = Process(process, f"http://127.0.0.1:{port}", session)
        try:
            yield run
        finally:
            if process.returncode is None:
                await run.end(signal.SIGKILL)


async def create_topic(stack: Stack, topic: str, partitions: int, **config: str) -> None:
    """Create a topic that keeps its records for ever."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.settings.kafka_address)
    await admin.start()
    try:
        configs = {"retention.ms": "-1"} | {name.replace("_", "."): value for name, value in config.items()}
        answer = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)])
        assert [error[1] for error in answer.topic_errors] == [0], answer.topic_errors
    finally:
        await admin.close()


async def fetch(stack: Stack, query: str, *arguments: object) -> list[dict[str, Any]]:
    """Rows of a query on the live tables."""
    connection = await asyncpg.connect(live_dsn(stack), server_settings={"search_path": "pinterest"})
    try:
        return [dict(row) for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()
