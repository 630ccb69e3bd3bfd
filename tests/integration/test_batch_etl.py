"""batch-etl with the real S3 server, Cassandra, Redis and Spark: what it writes, and what it survives."""

import asyncio
import hashlib
import itertools
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
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
from pin_schema.archive import ObjectKey, ObjectMetadata, encode_line, hour_of, is_json
from pin_schema.clean import CleanPin
from pin_schema.reference import catalogue, raw_pin
from pin_schema.testing import local_spark
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from pyspark.sql import SparkSession
from redis import Redis
from service_runtime.cassandra import cassandra_session
from service_runtime.readiness import Readiness
from service_runtime.s3 import s3_bucket, s3_client

pytestmark = pytest.mark.must(19, 20, 21, 22, 23)

NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 1000
STAGINGS = ("none", "redis")
Value = bytes | None
# What a test does while a run is between two steps: called with "began load", "ended load", and so on.
Meddler = Callable[[str], object]


class World:
    """A bucket and a ledger of a test's own; the tables are shared, the pins in them are not."""

    def __init__(self, stack: Stack, spark: SparkSession) -> None:
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
        )
        self.archived: list[dict[str, Any]] = []

    async def create_bucket(self) -> None:
        async with s3_client(self.settings) as client:
            await client.create_bucket(Bucket=self.settings.s3_bucket)

    async def archive(self, partition: int, start: int, values: list[Value], timestamp: int = NOON) -> str:
        """Store an object as the sink would, a record a millisecond; return its key."""
        positions = [(start + n, timestamp + n) for n in range(len(values))]
        lines = b"".join(
            encode_line(partition, *position, b"key", value, plain=value is not None and is_json(value))
            for position, value in zip(positions, values, strict=True)
        )
        body = zstandard.ZstdCompressor().compress(lines)
        (first, first_ts), (last, last_ts) = positions[0], positions[-1]
        sha256 = hashlib.sha256(body).hexdigest()
        said = ObjectMetadata(first, last, len(values), first_ts, last_ts, sha256)
        key = str(ObjectKey(partition, start, hour_of(timestamp)))
        await self.put(key, body, said.to_dict())
        return key

    async def put(self, key: str, body: bytes, metadata: dict[str, str]) -> None:
        async with s3_client(self.settings) as client:
            await client.put_object(Bucket=self.settings.s3_bucket, Key=key, Body=body, Metadata=metadata)

    async def run(
        self, meddle: Meddler = lambda _: None, stop: asyncio.Event | None = None, **asked: Any
    ) -> Run:
        """Run the job in this process; Spark is shared, since it takes seconds to start."""
        request = Request(**{"days": Days(), **asked})
        run = Run(request.staging)
        registry = CollectorRegistry()

        @contextmanager
        def spark(_: BatchSettings) -> Iterator[SparkSession]:
            # Makes it this thread's active session, where Spark looks for data sources.
            self._spark.createDataFrame([], "id int")
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


@pytest.fixture(scope="module")
def spark() -> SparkSession:
    session = local_spark()
    session.sparkContext.pythonExec = sys.executable
    return session


@pytest.fixture
async def world(stack: Stack, spark: SparkSession) -> World:
    world = World(stack, spark)
    await world.create_bucket()
    return world


def pin(unique_id: UUID, **fields: Any) -> bytes:
    whole = {"index": 7, "unique_id": str(unique_id), "image_src": "https://example.org/a.jpg"}
    return json.dumps(whole | fields).encode()


def awkward_pins() -> list[list[Value]]:
    """Two partitions' records: repeats, late fixes, sentinels, odd text, and what is no pin at all."""
    ids = [uuid4() for _ in range(60)]
    some = [
        pin(some_id, title=f"Título {n}", follower_count=count, tag_list=tags, downloaded=n % 2)
        for n, (some_id, count, tags) in enumerate(
            zip(
                ids,
                itertools.cycle(("35k", "2M", "User Info Error", None)),
                itertools.cycle(("a,b", "", None)),
            )
        )
    ]
    repeats: list[Value] = [*some[:20], *some[:5]]
    fixed: list[Value] = [pin(some_id, title="newer", category="art") for some_id in ids[20:30]]
    lost_image: list[Value] = [pin(some_id, image_src="Image src error.") for some_id in ids[25:40]]
    upper: list[Value] = [pin(ids[40]).replace(str(ids[40]).encode(), str(ids[40]).upper().encode())]
    garbage: list[Value] = [b"\xff\x00", b'{"index": -1}', None, b"[]"]
    return [[*some, *garbage, *fixed], [*repeats, *lost_image, *upper, *lost_image[:3]]]


def expected(
    partitions: list[list[Value]], start: int = 0
) -> tuple[dict[UUID, CleanPin], dict[UUID, Any], int]:
    """The catalogue of these records, and how many of them are no pins."""
    raws, garbage = [], 0
    for partition, values in enumerate(partitions):
        for n, value in enumerate(values):
            try:
                raws.append(raw_pin(partition, start + n, NOON + n, value) | {"value": value})
            except ValueError:
                garbage += 1
    return *catalogue(raws), garbage


def as_clean_pin(row: Any) -> CleanPin:
    return CleanPin(**row._asdict() | {"event_time": row.event_time.replace(tzinfo=UTC)})


@pytest.mark.parametrize("staging", STAGINGS)
async def test_a_run_writes_the_catalogue_that_plain_python_computes(world: World, staging: str) -> None:
    partitions = awkward_pins()
    for partition, values in enumerate(partitions):
        await world.archive(partition, 0, values[:30])
        await world.archive(partition, 30, values[30:], NOON + 30)
    valid, rejected, garbage = expected(partitions)
    run = await world.run(staging=staging)
    assert run.exit is Exit.DONE
    rows = world.rows("pins", set(valid) | set(rejected))
    assert {key: as_clean_pin(row) for key, row in rows.items()} == valid
    apart = world.rows("pins_rejected", set(valid) | set(rejected))
    assert {key: (row.reason, row.raw.encode()) for key, row in apart.items()} == {
        key: (pin.reason, pin.raw["value"]) for key, pin in rejected.items()
    }
    account = run.account
    assert account.read == sum(map(len, partitions))
    assert account.clean == len(valid)
    assert account.rejected["no_image"] == len(rejected)
    assert sum(account.rejected.values()) == len(rejected) + garbage
    assert account.read == account.clean + account.duplicate + sum(account.rejected.values())


async def test_the_ledger_tells_what_was_loaded_and_a_second_run_has_nothing_to_do(world: World) -> None:
    values: list[Value] = [pin(uuid4()), pin(uuid4(), image_src=None), None]
    await world.archive(3, 40, values)
    run = await world.run()
    (row,) = world.ledger(
        "etl_objects", topic=f"{world.settings.s3_bucket}/{world.settings.kafka_topic}", partition=3
    )
    counts = (row.pins_read, row.pins_clean, row.pins_duplicate, row.pins_rejected)
    assert (row.start_offset, row.end_offset, row.run_id, *counts) == (40, 42, run.run_id, 3, 1, 0, 2)
    (told,) = world.ledger("etl_runs", run_id=run.run_id)
    assert (told.status, told.objects, dict(told.rejected)) == ("done", 1, {"no_image": 1, "no_value": 1})
    assert {"wait", "list", "load", "clean", "write", "ledger"} <= told.seconds.keys()
    again = await world.run()
    assert again.exit is Exit.NOTHING_TO_DO
    assert world.ledger("etl_runs", run_id=again.run_id) == []


async def test_a_full_run_changes_nothing(world: World) -> None:
    ids = {uuid4() for _ in range(30)}
    await world.archive(0, 0, [pin(some_id) for some_id in ids])
    await world.run()
    before = world.written_at(ids)
    run = await world.run(full=True)
    assert (run.exit, run.account.clean) == (Exit.DONE, 30)
    assert world.written_at(ids) == before


async def test_a_corrupt_object_is_set_aside_by_name_and_tried_again(world: World) -> None:
    good, bad = uuid4(), uuid4()
    await world.archive(0, 0, [pin(good)])
    corrupt = await world.archive(1, 0, [pin(bad)])
    async with s3_bucket(world.settings) as store:
        whole = await store.get(corrupt)
    assert whole is not None
    await world.put(corrupt, whole.body[:-1] + b"?", dict(whole.metadata))
    await world.put("raw/pins/notes.txt", b"", {})
    run = await world.run()
    assert run.exit is Exit.SET_ASIDE
    assert "sha256" in run.set_aside.pop(corrupt)
    assert "raw/pins/notes.txt" in run.set_aside
    assert world.rows("pins", {good, bad}).keys() == {good}
    (told,) = world.ledger("etl_runs", run_id=run.run_id)
    assert (told.status, set(told.set_aside)) == ("set_aside", {corrupt, "raw/pins/notes.txt"})
    await world.put(corrupt, whole.body, dict(whole.metadata))
    repaired = await world.run()
    assert (repaired.exit, repaired.account.read) == (Exit.SET_ASIDE, 1)
    assert world.rows("pins", {good, bad}).keys() == {good, bad}


async def test_the_newer_version_stands_whatever_is_loaded_last(world: World) -> None:
    some_id = uuid4()
    await world.archive(0, 100, [pin(some_id, title="new", category=None)], NOON + 60_000)
    await world.run()
    await world.archive(0, 50, [pin(some_id, title="old", category="art")])
    await world.run()
    row = world.rows("pins", {some_id})[some_id]
    assert (row.title, row.category, row.source_offset) == ("new", None, 100)


async def test_a_newer_null_erases_an_older_value(world: World) -> None:
    some_id = uuid4()
    await world.archive(0, 0, [pin(some_id, title="old", tag_list="a,b", category="art")])
    await world.run()
    await world.archive(0, 1, [pin(some_id)], NOON)
    await world.run()
    row = world.rows("pins", {some_id})[some_id]
    assert (row.title, row.tag_list, row.category, row.source_offset) == (None, None, None, 1)


async def test_a_range_of_days_loads_those_days(world: World) -> None:
    day = 24 * 3_600_000
    ids = [uuid4() for _ in range(3)]
    for n, some_id in enumerate(ids):
        await world.archive(0, n, [pin(some_id)], NOON + n * day)
    second = datetime.fromtimestamp((NOON + day) / 1000, UTC).date()
    run = await world.run(days=Days(second, second))
    assert run.planned == {str(second): 1}
    assert world.rows("pins", set(ids)).keys() == {ids[1]}


@pytest.mark.parametrize("moment", ["ended load", "began write"])
async def test_a_flushed_redis_starts_the_run_again(world: World, moment: str) -> None:
    ids = {uuid4() for _ in range(20)}
    await world.archive(0, 0, [pin(some_id) for some_id in ids])
    redis = Redis.from_url(world.settings.redis_url.get_secret_value())
    flushes = iter([moment])

    def flush(now: str) -> None:
        if now == moment and next(flushes, None):
            redis.flushall()

    run = await world.run(flush, staging="redis")
    assert (run.exit, run.stages_lost, run.account.clean) == (Exit.DONE, 1, 20)
    assert world.rows("pins", ids).keys() == ids
    assert list(redis.scan_iter(f"pinflow:staging:{run.run_id}:*")) == []
    redis.close()


async def test_a_redis_that_forgets_every_time_is_given_up(world: World) -> None:
    await world.archive(0, 0, [pin(uuid4())])
    redis = Redis.from_url(world.settings.redis_url.get_secret_value())
    run = await world.run(lambda now: now == "ended load" and redis.flushall(), staging="redis")
    assert (run.exit, run.stages_lost) == (Exit.RETRY, 3)
    assert (run.error or "").startswith("a stage was lost 3 times")
    (told,) = world.ledger("etl_runs", run_id=run.run_id)
    assert told.status == "failed"
    redis.close()


@pytest.mark.parametrize("moment", ["ended load", "began write"])
async def test_a_run_that_is_stopped_leaves_nothing_behind_and_is_done_by_the_next(
    world: World, moment: str
) -> None:
    ids = {uuid4() for _ in range(20)}
    await world.archive(0, 0, [pin(some_id) for some_id in ids])
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def end(now: str) -> None:
        if now == moment:
            loop.call_soon_threadsafe(stop.set)

    run = await world.run(end, stop, staging="redis")
    assert run.exit is Exit.TERMINATED
    (told,) = world.ledger("etl_runs", run_id=run.run_id)
    assert (told.status, told.objects) == ("failed", 0)
    with Redis.from_url(world.settings.redis_url.get_secret_value()) as redis:
        assert list(redis.scan_iter(f"pinflow:staging:{run.run_id}:*")) == []
    assert (await world.run()).exit is Exit.DONE
    assert world.rows("pins", ids).keys() == ids


async def test_cassandra_may_leave_and_come_back_while_a_run_writes(world: World) -> None:
    ids = {uuid4() for _ in range(50)}
    await world.archive(0, 0, [pin(some_id) for some_id in ids])
    restarts: list[threading.Thread] = []
    answers: list[tuple[int, dict[str, Any]]] = []

    def restart() -> None:
        answers.append(asyncio.run(command(world, "--json", BATCH_WAIT_SECONDS="1")))
        world.stack.start("cassandra")

    def stop(now: str) -> None:
        if now == "began write":
            world.stack.stop("cassandra")
            restarts.append(threading.Thread(target=restart))
            restarts[0].start()

    run = await world.run(stop)
    await asyncio.to_thread(restarts[0].join)
    assert (run.exit, run.account.clean) == (Exit.DONE, 50)
    assert world.rows("pins", ids).keys() == ids
    ((code, told),) = answers
    assert code == Exit.RETRY
    assert told["error"].startswith("cassandra stayed away for 1 s")


async def test_the_command_prints_one_json_object_and_its_exit_code(world: World) -> None:
    await world.archive(0, 0, [pin(uuid4())])
    code, planned = await command(world, "--dry-run", "--json")
    assert (code, planned["planned"], planned["read"]) == (Exit.DONE, {"2026-03-01": 1}, 0)
    assert (await command(world, "--json"))[0] == Exit.DONE
    code, told = await command(world, "--json")
    assert (code, told["status"]) == (Exit.NOTHING_TO_DO, "nothing_to_do")


async def command(world: World, *arguments: str, **more: str) -> tuple[int, dict[str, Any]]:
    """Run the console script in a process of its own; return its exit code and what it printed."""
    settings = world.settings
    secret = settings.s3_secret_access_key
    environment = {
        "BATCH_S3_BUCKET": settings.s3_bucket,
        "BATCH_S3_ENDPOINT_URL": str(settings.s3_endpoint_url),
        "BATCH_S3_ACCESS_KEY_ID": str(settings.s3_access_key_id),
        "BATCH_S3_SECRET_ACCESS_KEY": secret.get_secret_value() if secret else "",
        "BATCH_CASSANDRA_CONTACT_POINTS": settings.cassandra_contact_points,
        "BATCH_CASSANDRA_PORT": str(settings.cassandra_port),
        "BATCH_KAFKA_TOPIC": settings.kafka_topic,
        "BATCH_SPARK_MASTER": "local[1]",
    }
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "batch-etl"),
        "run",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | environment | more,
    )
    printed, _ = await process.communicate()
    return process.returncode or 0, json.loads(printed)
