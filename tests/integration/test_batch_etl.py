"""batch-etl with the real S3 server, Cassandra, Redis and Spark: what it writes, and what it survives."""

import asyncio
import itertools
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from batch_etl.days import Days
from batch_etl.engine import running_spark
from batch_etl.exits import Exit
from batch_etl.ledger import RUNNING_SECONDS, Ledger
from batch_world import NOON, Value, World, command
from cassandra.query import SimpleStatement
from native_stack.stack import Stack
from pin_schema.archive_testing import LOG
from pin_schema.clean import CleanPin
from pin_schema.reference import catalogue, raw_pin
from pyspark.sql import SparkSession
from redis import Redis
from service_runtime.cassandra import cassandra_session
from service_runtime.s3 import s3_bucket
from structlog.testing import capture_logs

pytestmark = pytest.mark.must(19, 20, 21, 22, 23)

SCANNED_PINS = 1_000_000 if os.environ.get("PINFLOW_LONG") else 20_000
STAGINGS = ("none", "redis")


@pytest.fixture(scope="module")
def spark(stack: Stack) -> Iterator[SparkSession]:
    with running_spark(World(stack).settings) as session:
        yield session


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
                raws.append(raw_pin(LOG, partition, start + n, NOON + n, value) | {"value": value})
            except ValueError:
                garbage += 1
    return *catalogue(raws), garbage


def as_clean_pin(row: Any) -> CleanPin:
    fields = row._asdict() | {"event_time": row.event_time.replace(tzinfo=UTC)}
    del fields["version"]
    return CleanPin(**fields)


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
        "etl_objects", topic=f"{world.settings.s3_bucket}/{world.settings.kafka_topic}/{LOG}", partition=3
    )
    counts = (row.pins_read, row.pins_clean, row.pins_duplicate, row.pins_rejected)
    assert (row.start_offset, row.end_offset, row.run_id, *counts) == (40, 42, run.run_id, 3, 1, 0, 2)
    (told,) = world.ledger("etl_runs", run_id=run.run_id)
    assert (told.status, told.objects, dict(told.rejected)) == ("done", 1, {"no_image": 1, "no_value": 1})
    assert {"wait", "list", "load", "clean", "write", "ledger"} <= told.seconds.keys()
    again = await world.run()
    assert again.exit is Exit.NOTHING_TO_DO
    assert world.ledger("etl_runs", run_id=again.run_id) == []


async def test_mutant_ledger_ignored(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "loaded", lambda *_: set())
    with pytest.raises(AssertionError):
        await test_the_ledger_tells_what_was_loaded_and_a_second_run_has_nothing_to_do(world)


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


def deep(depth: int) -> bytes:
    return b'{"index":1,"unique_id":"%b","x":%b}' % (str(uuid4()).encode(), b"[" * depth + b"]" * depth)


async def test_whatever_one_record_or_object_is_the_others_are_loaded(world: World) -> None:
    good = uuid4()
    deep_ones: list[Value] = [deep(depth) for depth in range(900, 1005)]
    await world.archive(0, 0, [pin(good), *deep_ones], plain=True)
    enormous = await world.archive(1, 0, [pin(uuid4()), b'{"a":"' + b"x" * (100 * 2**20) + b'"}'])
    no_zstd = await world.archive(2, 0, [pin(uuid4())], body=b"no zstd")
    listed = await world.archive(3, 0, [pin(uuid4())])
    foreign = ["raw/pins/.DS_Store", "raw/pins/dt=2026-03-01/hr=12/p=00/copy of 1.ndjson.zst"]
    for key in foreign:
        await world.put(key, b"?", {})
    async with s3_bucket(world.settings) as store:
        whole = await store.get(enormous)
        assert whole is not None
        assert len(whole.body) < 100_000

    def delete(now: str) -> None:
        if now == "began verify":
            asyncio.run(world.delete(listed))

    run = await world.run(delete)
    assert run.exit is Exit.SET_ASIDE
    assert run.set_aside.keys() == {no_zstd, listed, *foreign}
    assert "does not decompress" in run.set_aside[no_zstd]
    assert "no longer there" in run.set_aside[listed]
    assert run.account.rejected == {"too_deep": len(deep_ones), "too_large": 1}
    assert (run.account.read, run.account.clean) == (108, 2)
    assert world.rows("pins", {good}).keys() == {good}


async def test_a_run_says_that_it_is_running_for_a_while_only(world: World) -> None:
    await world.archive(0, 0, [pin(uuid4())])
    seen = list[Any]()

    def look(now: str) -> None:
        if now == "began load":
            rows = session.execute("SELECT run_id, status, TTL(status) AS ttl FROM pinterest.etl_runs")
            seen.extend(row for row in rows if row.status == "running")

    dead, done = uuid4(), uuid4()
    with cassandra_session(world.settings) as session:
        columns = "INSERT INTO pinterest.etl_runs (run_id, started_at, status, finished_at)"
        session.execute(f"{columns} VALUES (%s, %s, null, null)", (dead, datetime.now(UTC)))
        session.execute(
            f"{columns} VALUES (%s, %s, 'done', %s)", (done, datetime.now(UTC), datetime.now(UTC))
        )
        run = await world.run(look)
    assert [row.run_id for row in seen] == [run.run_id]
    assert 0 < seen[0].ttl <= RUNNING_SECONDS
    assert [world.ledger("etl_runs", run_id=some)[0].status for some in (dead, done, run.run_id)] == [
        "died",
        "done",
        "done",
    ]


async def test_a_run_that_lives_says_so_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.archive(0, 0, [pin(uuid4())])
    monkeypatch.setattr("batch_etl.job.RUNNING_SECONDS", 0.4)
    seen = set[int]()

    def look(now: str) -> None:
        rows = session.execute("SELECT status, WRITETIME(status) AS at FROM pinterest.etl_runs")
        seen.update(row.at for row in rows if row.status == "running")

    with cassandra_session(world.settings) as session:
        run = await world.run(look)
    assert len(seen) > 2
    assert world.ledger("etl_runs", run_id=run.run_id)[0].status == "done"


async def test_minimal_pins_are_scanned_without_a_tombstone(world: World) -> None:
    # With 9 nulls a pin a page holds more tombstones than Cassandra reads: 100,000.
    ids = [uuid4() for _ in range(SCANNED_PINS)]
    for start in range(0, len(ids), 50_000):
        await world.archive(0, start, [pin(some_id) for some_id in ids[start : start + 50_000]], NOON + start)
    assert (await world.run()).account.clean == len(ids)
    with cassandra_session(world.settings, request_seconds=60) as session:
        statement = SimpleStatement("SELECT unique_id, title FROM pinterest.pins", fetch_size=20_000)
        scanned = {row.unique_id for row in session.execute(statement)}
    assert scanned.issuperset(ids)


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


async def test_of_one_append_time_the_later_offset_stands_whatever_is_loaded_last(world: World) -> None:
    ids = [uuid4(), uuid4()]
    pairs = [(999, 1000, ids[0]), (5, 1005, ids[1])]
    for partition, (_, later, some_id) in enumerate(pairs):
        await world.archive(partition, later, [pin(some_id, title="later")], NOON)
    await world.run()
    for partition, (earlier, _, some_id) in enumerate(pairs):
        await world.archive(partition, earlier, [pin(some_id, title="earlier")], NOON)
    await world.run()
    rows = world.rows("pins", set(ids))
    assert {row.title for row in rows.values()} == {"later"}
    assert {row.source_offset for row in rows.values()} == {1000, 1005}


async def test_two_logs_of_one_topic_are_loaded_side_by_side(world: World) -> None:
    ids = [uuid4(), uuid4()]
    await world.archive(0, 0, [pin(ids[0])])
    world.topic_id = uuid4()
    await world.archive(0, 0, [pin(ids[1])], NOON + 1)
    assert (await world.run()).account.clean == 2
    assert (await world.run()).exit is Exit.NOTHING_TO_DO
    assert world.rows("pins", set(ids)).keys() == set(ids)


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


async def test_a_redis_that_forgets_every_time_is_staged_around(world: World) -> None:
    some_id = uuid4()
    await world.archive(0, 0, [pin(some_id)])
    redis = Redis.from_url(world.settings.redis_url.get_secret_value())
    run = await world.run(lambda now: now == "ended load" and redis.flushall(), staging="redis")
    assert (run.exit, run.stages_lost, run.staging) == (Exit.DONE, 3, "redis, then none")
    assert world.rows("pins", {some_id}).keys() == {some_id}
    redis.close()


@pytest.mark.parametrize("moment", ["ended verify", "ended load"])
async def test_a_redis_that_is_too_small_is_said_and_staged_around(world: World, moment: str) -> None:
    some_id = uuid4()
    await world.archive(0, 0, [pin(some_id)])
    redis = Redis.from_url(world.settings.redis_url.get_secret_value())
    before = redis.config_get("maxmemory")["maxmemory"]
    full = list[str]()

    def fill(now: str) -> None:
        if now == moment:
            redis.config_set("maxmemory", 1)
            full.append(now)

    try:
        with capture_logs() as logs:
            run = await world.run(fill, staging="redis")
    finally:
        redis.config_set("maxmemory", before or 0)
        redis.close()
    assert full, "the fault did not fire"
    assert (run.exit, run.stages_lost, run.staging) == (Exit.DONE, 1, "redis, then none")
    assert any("Redis is full" in line.get("why", "") for line in logs)
    assert world.rows("pins", {some_id}).keys() == {some_id}


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
