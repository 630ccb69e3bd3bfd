"""An archive and a catalogue of a test's own, and the batch job on them."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import zstandard
from batch_etl.days import Days
from batch_etl.exits import Exit
from batch_etl.job import Job, Request
from batch_etl.neighbours import Neighbours
from batch_etl.outcome import Run
from batch_etl.settings import BatchSettings
from batch_etl.steps import Notes
from batch_etl.worker import Worker
from native_stack.credentials import S3_ROOT_KEY_ID
from native_stack.stack import Stack
from pin_schema.archive import encode_line
from pin_schema.archive_testing import TOPIC, line_of, object_of, records_from
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from pyspark.sql import SparkSession
from service_runtime.cassandra import cassandra_session
from service_runtime.readiness import Readiness
from service_runtime.s3 import s3_bucket, s3_client

NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 1000
SCRIPT = str(Path(sys.executable).parent / "batch-etl")
Value = bytes | None
# What a test does while a run is between two steps: called with "began load", "ended load", and so on.
Meddler = Callable[[str], object]


class World:
    """A bucket and a ledger of a test's own; the tables are shared, the pins in them are not."""

    def __init__(self, stack: Stack, spark: SparkSession | None = None) -> None:
        self.stack = stack
        self._spark = spark
        name = f"batch-{uuid4()}"
        secret = stack.credentials.s3_root_secret_file.read_text(encoding="utf-8").strip()
        self.settings = BatchSettings(
            s3_bucket=name,
            s3_endpoint_url=stack.settings.s3_url,
            s3_access_key_id=S3_ROOT_KEY_ID,
            s3_secret_access_key=SecretStr(secret),
            cassandra_contact_points="127.0.0.1",
            cassandra_port=stack.settings.cassandra_port,
            kafka_topic=name,
            redis_url=SecretStr(f"redis://127.0.0.1:{stack.settings.redis_port}/0"),
            wait_seconds=60,
            spark_master="local[1]",
        )
        self.topic_id = TOPIC
        self.archived: list[dict[str, Any]] = []

    async def create_bucket(self) -> None:
        async with s3_client(self.settings) as client:
            await client.create_bucket(Bucket=self.settings.s3_bucket)

    async def archive(
        self,
        partition: int,
        start: int,
        values: list[Value],
        timestamp: int = NOON,
        *,
        plain: bool = False,
        body: bytes | None = None,
    ) -> str:
        """Store an object as the sink would, a record a millisecond; return its key.

        `plain` has every value stand in its line as it is, and `body` is another body than the lines.
        """
        records = records_from(start, values, timestamp, partition=partition)
        lines = [
            encode_line(each, partition, each.version, each.value) if plain else line_of(each)
            for each in records
        ]
        body = zstandard.ZstdCompressor().compress(b"".join(lines)) if body is None else body
        whole = object_of(records, body, line_bytes=sum(map(len, lines)), topic_id=self.topic_id)
        await self.put(*whole)
        return whole[0]

    async def put(self, key: str, body: bytes, metadata: dict[str, str]) -> None:
        async with s3_client(self.settings) as client:
            await client.put_object(Bucket=self.settings.s3_bucket, Key=key, Body=body, Metadata=metadata)

    async def delete(self, key: str) -> None:
        async with s3_client(self.settings) as client:
            await client.delete_object(Bucket=self.settings.s3_bucket, Key=key)

    async def run(
        self, meddle: Meddler = lambda _: None, stop: asyncio.Event | None = None, **asked: Any
    ) -> Run:
        """Run the job in this process; Spark is shared, since it takes seconds to start."""
        request = Request(**{"days": Days(), **asked})
        run = Run(request.staging)
        registry = CollectorRegistry()

        @contextmanager
        def spark(_: BatchSettings) -> Iterator[SparkSession]:
            assert self._spark is not None, "this world runs the command only"
            yield self._spark

        async with s3_bucket(self.settings) as store:
            neighbours = Neighbours(Readiness(registry), self.settings.wait_seconds)
            job = Job(request, run, self.settings, store, neighbours, Meddling(meddle), spark)
            await Worker(job, run, registry, self.settings).execute(stop or asyncio.Event())
        assert run.exit is not Exit.FAILED, run.error
        return run

    def rows(self, table: str, ids: set[UUID]) -> dict[UUID, Any]:
        with cassandra_session(self.settings) as session:
            select = session.prepare(f"SELECT * FROM pinterest.{table} WHERE unique_id IN ?")
            return {row.unique_id: row for row in session.execute(select, (list(ids),))}

    def written_at(self, ids: set[UUID]) -> set[tuple[UUID, int]]:
        """Cassandra's own timestamps of rows: they change when anything is written."""
        with cassandra_session(self.settings) as session:
            select = session.prepare(
                "SELECT unique_id, WRITETIME(idx) AS at FROM pinterest.pins WHERE unique_id IN ?"
            )
            return {(row.unique_id, row.at) for row in session.execute(select, (list(ids),))}

    def ledger(self, table: str, **key: Any) -> list[Any]:
        condition = " AND ".join(f"{name} = %s" for name in key)
        with cassandra_session(self.settings) as session:
            return list(
                session.execute(f"SELECT * FROM pinterest.{table} WHERE {condition}", list(key.values()))
            )


class Meddling:
    """A display that lets a test do something between steps."""

    def __init__(self, meddle: Meddler) -> None:
        self._meddle = meddle

    def began(self, step: str) -> None:
        self._meddle(f"began {step}")

    def ended(self, step: str, seconds: float, notes: Notes) -> None:
        self._meddle(f"ended {step}")


def environment(settings: BatchSettings) -> dict[str, str]:
    """The variables of the console script."""
    secret = settings.s3_secret_access_key
    return {
        "BATCH_S3_BUCKET": settings.s3_bucket,
        "BATCH_S3_ENDPOINT_URL": str(settings.s3_endpoint_url),
        "BATCH_S3_ACCESS_KEY_ID": str(settings.s3_access_key_id),
        "BATCH_S3_SECRET_ACCESS_KEY": secret.get_secret_value() if secret else "",
        "BATCH_CASSANDRA_CONTACT_POINTS": settings.cassandra_contact_points,
        "BATCH_CASSANDRA_PORT": str(settings.cassandra_port),
        "BATCH_KAFKA_TOPIC": settings.kafka_topic,
        "BATCH_SPARK_MASTER": settings.spark_master,
        "BATCH_REDIS_URL": settings.redis_url.get_secret_value(),
    }


async def command(world: World, *arguments: str, **more: str) -> tuple[int, dict[str, Any]]:
    """Run the console script in a process of its own; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        SCRIPT,
        "run",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | environment(world.settings) | more,
    )
    printed, _ = await process.communicate()
    return process.returncode or 0, json.loads(printed)
