"""stream-etl with the real Kafka, Spark and PostgreSQL: one voyage, and what is true after it."""

import asyncio
import contextlib
import json
import random
import secrets
import signal
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from native_stack.clients import live_dsn, topic_settings
from native_stack.processes import still_alive
from native_stack.stack import Stack
from pin_schema import reference
from pin_schema.clean import CleanPin
from pin_schema.reference import Rejected
from pin_schema.reference_windows import Session, Window, sessions, window_start, windows
from pin_schema.versions import Versions
from pin_schema.wire import NO_VALUE, InvalidPin
from reconcile import live
from reconcile.topic import topic_log
from stream_etl.engine import QUERIES
from stream_program import PATIENCE_SECONDS, Process, create_topic, fetch, free_port, stream_etl

# The voyage that all share takes minutes, more of them beside other work.
pytestmark = [pytest.mark.must(24, 25, 26, 27, 28), pytest.mark.timeout(900)]

PARTITIONS = 2
# Old enough that two and a half hours later is not the future, which Kafka refuses.
START = datetime.fromtimestamp((time.time() - 3 * 3600) // 60 * 60, UTC)
FAR_LATER = 9000.0
BATCHES = "pinflow_stream_batches_total"
# Of the locks, which are asked each time; of pg_stat_activity a transaction sees one snapshot.
WAITING_MERGES = "SELECT count(*) FROM pg_locks WHERE relation = 'stream_batches'::regclass AND NOT granted"
STAGED_ROWS = "SELECT count(*) FROM stream_staging WHERE query_id = $1"


@dataclass
class Voyage:
    """One topic, one checkpoint, and what the runs of the program have shown on the way."""

    stack: Stack
    topic: str
    checkpoints: Path
    log: Path
    topic_log: str = ""
    exit_codes: list[int] = field(default_factory=list)
    dropped: int = 0
    late_by_then: int = 0
    away: str = ""
    replayed: float = 0
    pid_kept: bool = False
    spark_pages: str = ""
    staged_then_lost: int = 0
    staged_again: float = 0

    @property
    def kafka(self) -> str:
        return self.stack.settings.kafka_address

    @asynccontextmanager
    async def running(self, **more: str) -> AsyncIterator[Process]:
        """Start the program, with more settings; end it unless the block has."""
        async with stream_etl(self.stack, self.topic, self.checkpoints, self.log, **more) as run:
            yield run

    async def post(self, *pins: tuple[float, bytes | None]) -> None:
        """Append records of chosen times, given in seconds after the start."""
        async with AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all") as producer:
            for seconds, value in pins:
                moment = round((START + timedelta(seconds=seconds)).timestamp() * 1000)
                key = json.loads(value or b"")["unique_id"].lower().encode() if is_pin(value) else b"key"
                await producer.send(self.topic, value, key=key, timestamp_ms=moment)

    async def records(self) -> list[tuple[int, int, int, bytes | None]]:
        """Partition, offset, time and value of everything in the log."""
        partitions = [TopicPartition(self.topic, p) for p in range(PARTITIONS)]
        found: list[tuple[int, int, int, bytes | None]] = []
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka, group_id=None) as consumer:
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            while any([await consumer.position(p) < end for p, end in ends.items()]):
                for p, batch in (await consumer.getmany(timeout_ms=500)).items():
                    found += [(p.partition, r.offset, r.timestamp, r.value) for r in batch]
        return found

    async def until_written(self) -> None:
        """Wait until the last record of each partition is written."""
        expected = {}
        for partition, offset, *_ in await self.records():
            expected[partition] = offset
        async with asyncio.timeout(PATIENCE_SECONDS):
            while expected != await self._positions():
                await asyncio.sleep(0.2)

    async def _positions(self) -> dict[int, int]:
        rows = await self.fetch("SELECT * FROM stream_positions")
        return {
            r["source_partition"]: r["source_offset"] for r in rows if str(r["query_id"]) == self.query_id
        }

    @property
    def checkpoint(self) -> Path:
        return self.checkpoints / self.topic_log

    @property
    def query_id(self) -> str:
        metadata = self.checkpoint / "live/metadata"
        return str(json.loads(metadata.read_text())["id"]) if metadata.exists() else ""

    async def fetch(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query."""
        return await fetch(self.stack, query)


def is_pin(value: bytes | None) -> bool:
    try:
        reference.raw_pin("t1", 0, 0, 0, value)
    except InvalidPin:
        return False
    return True


def pin(**fields: Any) -> bytes:
    defaults = {"index": 1, "unique_id": str(uuid.uuid4()), "image_src": "https://example.org/a.jpg"}
    return json.dumps(defaults | fields).encode()


AGAIN, UPPER = str(uuid.uuid4()), str(uuid.uuid4())
ODD: list[tuple[float, bytes | None]] = [
    (0, pin(category="art", poster_name="Ann", follower_count="35k", is_image_or_video="image")),
    (1, pin(category="art", poster_name="Bob", follower_count="1.5M", is_image_or_video="video")),
    (2, pin(category="art", poster_name="Ann", is_image_or_video="multi-video(story page format)")),
    (9.999, pin(poster_name="User Info Error", tag_list="a, b,,\\{\"},'é", title=" x ")),
    (10, pin(category=None, tag_list="N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e", downloaded=1)),
    (11, pin(unique_id=AGAIN, category="first", title="old", index=2**63 - 1)),
    (12, pin(unique_id=AGAIN, category="second", title="new", save_location="Local save in /data")),
    (21, pin(unique_id=AGAIN, category="second", title="newest")),
    (22, pin(unique_id=UPPER.upper(), image_src="Image src error.")),
    (23, pin(unique_id=UPPER.upper(), category=secrets.token_hex(8000), poster_name=secrets.token_hex(8000))),
    (23, pin(unknown={"a": [1]}, description="\\u0000not a NUL", category="  art ")),
    (24, pin(image_src=None)),
    (25, b"\xff\x00no pin"),
    (26, b'{"index": -1}'),
    (27, None),
]


def weather(seed: int, around: float) -> list[tuple[float, bytes | None]]:
    """Pins whose times scatter so that many come behind the watermark."""
    chance = random.Random(seed)
    posters = ["Ann", "Bob", "Cy", None]
    return [
        (
            around + chance.uniform(-250, 60),
            pin(category=chance.choice(["art", "diy", None]), poster_name=chance.choice(posters)),
        )
        for _ in range(15)
    ]


@pytest.fixture(scope="session")
async def voyage(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Voyage:
    """Sail once: weather, a stop, an outage, kill -9, a replayed batch, and two hours later."""
    directory = tmp_path_factory.mktemp("stream")
    sailing = Voyage(stack, "stream-voyage", directory / "checkpoints", directory / "log")
    await create_topic(stack, sailing.topic, PARTITIONS, message_timestamp_type="CreateTime")
    sailing.topic_log = await topic_log(topic_settings(stack), sailing.topic)
    await first_run(sailing)
    await crash_before_the_last_commit(sailing)
    await second_run(sailing)
    await last_run(sailing)
    return sailing


async def first_run(sailing: Voyage) -> None:
    await sailing.post(*ODD)
    ui_port = free_port()
    async with sailing.running(SPARK_UI_PORT=ui_port) as run:
        await sailing.until_written()
        sailing.spark_pages = await spark_pages(run, ui_port)
        for turn in range(5):
            await sailing.post(*weather(turn, 200 + 60 * turn))
            await sailing.until_written()
        sailing.dropped += await spark_dropped(run)
        sailing.exit_codes.append(await run.end(signal.SIGTERM))


async def spark_pages(run: Process, port: str) -> str:
    """What Spark shows of itself, and of the newest batch."""
    pages = ""
    for path in ("environment/", "jobs/", "executors/", "SQL/", "SQL/execution/?id=0", "StreamingQuery/"):
        async with run.session.get(f"http://127.0.0.1:{port}/{path}") as answer:
            assert answer.status == 200, path
            pages += await answer.text()
    return pages


async def crash_before_the_last_commit(sailing: Voyage) -> None:
    """Leave the checkpoint as if Spark had died after the last batch with records was written."""
    live = sailing.checkpoint / "live"
    planned = {int(path.name): path.read_text().splitlines()[-1] for path in live.glob("offsets/[0-9]*")}
    last = max(n for n, offsets in planned.items() if planned.get(n - 1) != offsets)
    for path in [*live.glob("offsets/*"), *live.glob("commits/*")]:
        number = int(path.name.strip(".").removesuffix(".crc"))
        if number > last or (number == last and path.parent.name == "commits"):
            path.unlink()
    await sailing.fetch(
        f"DELETE FROM stream_batches WHERE query_id = '{sailing.query_id}' AND batch_id > {last}"
    )


async def second_run(sailing: Voyage) -> None:
    async with sailing.running() as run:
        sailing.replayed = await run.until_metric(lambda count: count > 0, BATCHES, "replayed", "live")
        # What Spark drops of a batch that it runs again is late already.
        sailing.dropped -= await spark_dropped(run)
        for turn in range(3):
            await sailing.post(*weather(101 + turn, 600 + 60 * turn))
            await sailing.until_written()
        sailing.dropped += await spark_dropped(run)
        sailing.stack.kill("kafka")
        sailing.stack.wait_ready("kafka")
        sailing.late_by_then = (await sailing.fetch("SELECT count(*) FROM late_pins"))[0]["count"]
        sailing.stack.stop("postgres")
        await sailing.post(*weather(200, 900))
        sailing.away = (await run.until(lambda found: found.get("postgres", "up") != "up"))["postgres"]
        sailing.stack.start("postgres")
        await sailing.until_written()
        await lose_what_is_staged(sailing, run)
        await sailing.until_written()
        sailing.pid_kept = run.process.returncode is None
        await sailing.post(*weather(201, 900))
        await asyncio.sleep(0.3)
        sailing.exit_codes.append(await run.end(signal.SIGKILL))


async def lose_what_is_staged(sailing: Voyage, run: Process) -> None:
    """Kill PostgreSQL between the last COPY of a batch and its merge, which the ledger's lock holds up."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not sailing.staged_then_lost:
            await sailing.until_written()
            await kill_before_the_merge(sailing)
    sailing.stack.wait_ready("postgres")
    sample = ("pinflow_stream_staged_again_total", "live")
    sailing.staged_again = await run.until_metric(lambda count: count > 0, *sample)


async def kill_before_the_merge(sailing: Voyage) -> None:
    """Kill nothing when the batch that waits has no rows, as one has that only moves the watermark."""
    # The server's end is an error of this connection too.
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError):
        async with live.connected(live_dsn(sailing.stack)) as connection, connection.transaction():
            await connection.execute("LOCK TABLE stream_batches IN EXCLUSIVE MODE")
            await sailing.post(*weather(300, 900))
            while await connection.fetchval(WAITING_MERGES) < len(QUERIES):
                await asyncio.sleep(0.05)
            sailing.staged_then_lost = await connection.fetchval(STAGED_ROWS, sailing.query_id)
            if sailing.staged_then_lost:
                sailing.stack.kill("postgres")


async def last_run(sailing: Voyage) -> None:
    async with sailing.running() as run:
        await sailing.until_written()
        await sailing.post((FAR_LATER, pin(poster_name="Zoe")))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await sailing.fetch("SELECT FROM poster_sessions WHERE poster_name = 'Ann'"):
                await asyncio.sleep(0.2)
        await sailing.until_written()
        sailing.exit_codes.append(await run.end(signal.SIGTERM))


async def spark_dropped(run: Process) -> int:
    """What Spark says it dropped in this run, once it has reported every batch that was merged."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = await run.metrics()
            merged = sum(found.get((BATCHES, outcome, "live"), 0) for outcome in ("written", "replayed"))
            if merged == found.get(("pinflow_stream_batch_seconds_count", "live"), 0) > 0:
                return int(found["pinflow_stream_rows_dropped_by_watermark_total", "live"])
            await asyncio.sleep(0.2)


@dataclass
class Truth:
    """What plain Python makes of the log."""

    pins: list[CleanPin] = field(default_factory=list)
    rejected: dict[tuple[int, int], tuple[str | None, str, str]] = field(default_factory=dict)


async def truth(sailing: Voyage) -> Truth:
    found = Truth()
    for partition, offset, moment, value in await sailing.records():
        text = (value or b"").decode(errors="replace").replace("\0", "\ufffd")
        try:
            raw = reference.raw_pin(sailing.topic_log, partition, offset, moment, value)
        except InvalidPin as invalid:
            reason = NO_VALUE if value is None else invalid.reason
            found.rejected[partition, offset] = (None, reason, text)
            continue
        match reference.clean(raw):
            case CleanPin() as clean:
                found.pins.append(clean)
            case Rejected() as rejected:
                found.rejected[partition, offset] = (raw["unique_id"].lower(), rejected.reason, text)
    return found


async def test_pins_in_postgresql_are_the_newest_versions_field_for_field(voyage: Voyage) -> None:
    expected: dict[uuid.UUID, CleanPin] = {}
    for clean in sorted((await truth(voyage)).pins, key=lambda p: p.source_offset):
        expected[clean.unique_id] = clean  # all versions of a pin lie in one partition
    rows = await voyage.fetch("SELECT * FROM pins")
    versions = {row["unique_id"]: row.pop("version") for row in rows}
    assert {row["unique_id"]: CleanPin(**row) for row in rows} == expected
    assert versions == {key: found for key, found in (await numbered(voyage)).items() if key in versions}


async def numbered(voyage: Voyage) -> dict[uuid.UUID, int]:
    """The version of each pin's newest record, by the rule in `pin_schema.versions`."""
    partitions = [Versions() for _ in range(PARTITIONS)]
    found = {}
    for partition, offset, moment, value in sorted(await voyage.records()):
        number = partitions[partition].of(offset, moment)
        if is_pin(value):
            found[uuid.UUID(json.loads(value or b"")["unique_id"])] = number
    return found


async def test_what_is_rejected_is_kept_once_with_its_reason_and_as_it_came(voyage: Voyage) -> None:
    rows = await voyage.fetch("SELECT * FROM rejected_pins")
    found = {
        (row["source_partition"], row["source_offset"]): (
            row["unique_id"] and str(row["unique_id"]),
            row["reason"],
            row["raw"],
        )
        for row in rows
    }
    assert found == (await truth(voyage)).rejected
    assert {reason for _, reason, _ in found.values()} >= {"no_image", "no_value", "not_utf8", "out_of_range"}


async def test_windows_are_the_recomputation_without_the_late_pins(voyage: Voyage) -> None:
    late = await late_positions(voyage)
    in_time = [p for p in (await truth(voyage)).pins if (p.source_partition, p.source_offset) not in late]
    rows = await voyage.fetch("SELECT * FROM pin_windows")
    assert all(row["window_end"] - row["window_start"] == timedelta(seconds=10) for row in rows)
    found = {(row["window_start"], row["category"]): window_of(row) for row in rows}
    assert found == windows(in_time)


async def late_positions(voyage: Voyage) -> set[tuple[int, int]]:
    rows = await voyage.fetch("SELECT source_partition, source_offset FROM late_pins")
    return {(row["source_partition"], row["source_offset"]) for row in rows}


def window_of(row: Mapping[str, Any]) -> Window:
    names = ("pins", "posters", "images", "videos", "max_follower_count")
    return Window(**{name: row[name] for name in names})


async def test_late_pins_are_those_that_spark_dropped(voyage: Voyage) -> None:
    assert voyage.late_by_then == voyage.dropped > 20


async def test_a_late_pin_names_its_window(voyage: Voyage) -> None:
    pins = {(p.source_partition, p.source_offset): p for p in (await truth(voyage)).pins}
    for row in await voyage.fetch("SELECT * FROM late_pins"):
        clean = pins[row["source_partition"], row["source_offset"]]
        assert row["window_start"] == window_start(clean.event_time)
        assert (row["category"], row["unique_id"], row["event_time"]) == (
            clean.category,
            clean.unique_id,
            clean.event_time,
        )


async def test_sessions_appear_when_the_watermark_has_passed_them(voyage: Voyage) -> None:
    in_time = (await truth(voyage)).pins
    expected = [session for session in sessions(in_time) if session.poster_name != "Zoe"]
    rows = await voyage.fetch("SELECT * FROM poster_sessions ORDER BY poster_name, session_start")
    found = [
        Session(row["poster_name"], row["session_start"], row["session_end"], row["pins"]) for row in rows
    ]
    assert found == sorted(expected, key=lambda session: (session.poster_name, session.start))


async def test_postgresql_away_is_named_and_awaited(voyage: Voyage) -> None:
    assert "Connect" in voyage.away
    assert voyage.pid_kept, "no restart was needed"


async def test_what_was_read_of_a_leader_that_changed_is_read_again(voyage: Voyage) -> None:
    assert "a leader has changed: what was read is read again" in voyage.log.read_text()


async def test_what_postgresql_lost_after_the_last_copy_is_staged_again(voyage: Voyage) -> None:
    # That nothing of it is missing, all the tests above say.
    assert voyage.staged_then_lost > 0
    assert voyage.staged_again >= 1


async def test_nobody_reads_the_password_of_postgresql_from_spark(voyage: Voyage) -> None:
    password = urlsplit(live_dsn(voyage.stack)).password
    assert password
    assert "MapInArrow" in voyage.spark_pages
    assert password not in voyage.spark_pages + voyage.log.read_text()


async def test_nothing_stays_in_the_staging_table(voyage: Voyage) -> None:
    assert await voyage.fetch("SELECT table_name, attempt FROM stream_staging") == []


async def test_a_batch_that_spark_runs_again_is_known_by_the_ledger(voyage: Voyage) -> None:
    assert voyage.replayed >= 1


async def test_a_signal_ends_it_in_order(voyage: Voyage) -> None:
    assert voyage.exit_codes == [0, -signal.SIGKILL, 0]


async def test_a_spark_that_hangs_ends_the_process(voyage: Voyage) -> None:
    async with voyage.running(STALL_SECONDS="5") as run:
        await run.until(lambda found: found.get("spark") == "up")
        java = next(
            child
            for child in psutil.Process(run.process.pid).children(recursive=True)
            if child.name() == "java"
        )
        java.suspend()
        assert await asyncio.wait_for(run.process.wait(), PATIENCE_SECONDS) == 1
        assert not still_alive([java], 5)
    assert "Spark has not answered for 5 s" in voyage.log.read_text()


async def stopped(voyage: Voyage, reason: str) -> None:
    """Start the program and see that it stops by that name, alive."""
    async with voyage.running() as run:
        why = (await run.until(lambda found: reason in found.get("spark", "")))["spark"]
        assert f"docs/runbooks/stream-{reason}.md" in why
        assert (await run.metrics())["pinflow_stream_stopped", reason] == 1
        assert await run.end(signal.SIGTERM) == 0


async def test_a_checkpoint_of_another_plan_is_a_named_stop(voyage: Voyage) -> None:
    note = voyage.checkpoint / "plan.json"
    ours = note.read_text()
    note.write_text(json.dumps(json.loads(ours) | {"plan": 0}))
    try:
        await stopped(voyage, "checkpoint-does-not-fit")
    finally:
        note.write_text(ours)


async def test_a_topic_created_again_is_read_without_a_stop_though_it_is_longer(voyage: Voyage) -> None:
    old = voyage.topic_log
    ids = [str(uuid.uuid4()) for _ in range(1000)]
    async with voyage.running() as run:
        await run.until(lambda found: found.get("spark") == "up")
        async with admin(voyage) as asked:
            await asked.delete_topics([voyage.topic])
        await recreated(voyage)
        await voyage.post(*((0, pin(unique_id=one)) for one in ids))
        voyage.topic_log = await topic_log(topic_settings(voyage.stack), voyage.topic)
        assert voyage.topic_log != old
        await voyage.until_written()
        assert (await run.metrics())["pinflow_stream_logs_replaced_total",] == 1
        assert await run.end(signal.SIGTERM) == 0
    rows = await voyage.fetch("SELECT * FROM pins")
    assert {str(row["unique_id"]) for row in rows if row["source_log"] == voyage.topic_log} == set(ids)
    reached = {p: max(r["version"] for r in rows if in_partition(r, old, p)) for p in range(PARTITIONS)}
    for partition in range(PARTITIONS):
        begun = min(row["version"] for row in rows if in_partition(row, voyage.topic_log, partition))
        assert begun > reached[partition], "also though its records are of an earlier time"


def in_partition(row: Mapping[str, Any], log: str, partition: int) -> bool:
    return (row["source_log"], row["source_partition"]) == (log, partition)


@asynccontextmanager
async def admin(voyage: Voyage) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=voyage.kafka)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def recreated(voyage: Voyage) -> None:
    """Create the topic anew as soon as Kafka has let go of the old one."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await create_topic(
                    voyage.stack, voyage.topic, PARTITIONS, message_timestamp_type="CreateTime"
                )
            except AssertionError:
                await asyncio.sleep(0.2)


async def test_a_log_that_lost_what_was_written_is_a_named_stop(voyage: Voyage) -> None:
    moved = "UPDATE stream_positions SET event_time = event_time {} interval '1 ms'"
    await voyage.fetch(moved.format("-"))
    try:
        await stopped(voyage, "log-truncated")
    finally:
        await voyage.fetch(moved.format("+"))


async def test_records_deleted_before_they_were_read_are_a_named_stop(voyage: Voyage) -> None:
    await voyage.post(*((FAR_LATER, pin()) for _ in range(50)))
    async with admin(voyage) as asked:
        everything = {TopicPartition(voyage.topic, p): RecordsToDelete(before_offset=-1) for p in range(2)}
        await asked.delete_records(everything)
    await stopped(voyage, "deleted-by-retention")
