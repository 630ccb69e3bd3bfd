"""2,000 pins pass the whole line while each of its four services is killed once: all stores add up."""

import asyncio
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
import yaml
from aiokafka.structs import ConsumerRecord
from native_stack.clients import archive_settings, catalogue_settings, live_dsn, topic_settings
from native_stack.stack import Stack
from pin_emulator.answers import Receipt
from pin_emulator.poster import post
from pin_emulator.summary import Summary
from pin_emulator.traffic import traffic
from pin_schema.wire import InvalidPin, decode, partition_key
from reconcile.archive import archived_within
from reconcile.catalogue import Catalogue, read_catalogue
from reconcile.demo.live import LiveSide, read_live_side
from reconcile.expected import Expected, expected, identity
from reconcile.offsets import OffsetRange, Position, RecordId
from reconcile.rejected import RejectedPin
from reconcile.topic import log_ends, read_topic, topic_log
from service_runtime.s3 import s3_bucket
from service_runtime.testing.proxy import StallingProxy

pytestmark = pytest.mark.must(1, 20, 21, 24, 26, 29)

TRUTH_TABLES = Path(__file__).parents[2] / "packages/pin-schema/tests/truth_tables"
# Keys written twice, and fields that nobody knows: the same in every reader.
TWICE = (
    '"title":"a","title":"b","title":null,"category":"x","category":"y"',
    '"title":"\\ud83d\\ude00 Ё","unknown":{"title":[1]},"index":7',
)
PINS = 2_000
SERVICES = ("ingest-api", "s3-sink", "stream-etl")
# `make test` runs one seeded round, `make test-long` ten.
ROUNDS = 10 if os.environ.get("PINFLOW_LONG") else 1
# Past the connections' own talk and into the rows, of which there is about 1 MB.
MID_WRITE_BYTES = 200_000
NOTHING_TO_DO = 10


@dataclass
class Receipts:
    """Which pin each receipt was for."""

    pins: dict[Position, bytes] = field(default_factory=dict)
    logs: set[str] = field(default_factory=set)
    count: int = 0

    def take(self, pairs: list[tuple[bytes, Receipt]]) -> None:
        for pin, receipt in pairs:
            self.count += 1
            self.logs.add(receipt["log"])
            self.pins[receipt["partition"], receipt["offset"]] = pin


def odd_pins(seed: int) -> list[bytes]:
    """Each row of each truth table as a pin, and odd JSON, with a second version that has no image."""
    ids = (str(UUID(int=seed * 1000 + number)) for number in count())
    odd = [
        msgspec.json.encode(
            {
                "index": 1,
                "unique_id": next(ids),
                "image_src": "https://a.b/c.jpg",
                table["field"]: row["input"],
            }
        )
        for table in map(yaml.safe_load, map(Path.read_text, sorted(TRUTH_TABLES.glob("*.yaml"))))
        for row in table["rows"]
    ]
    for fields in TWICE:
        start = f'{{"index":1,"unique_id":"{next(ids)}"'
        odd += [f'{start},"image_src":"a.jpg",{fields}}}'.encode(), f"{start},{fields}}}".encode()]
    return [pin for pin in odd if is_pin(pin)]


def is_pin(value: bytes) -> bool:
    """Whether ingest-api takes it; it refuses the NULs that some rows of the truth tables hold."""
    try:
        decode(value)
    except InvalidPin:
        return False
    return True


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_every_acknowledged_pin_reaches_both_stores_though_every_service_dies(
    stack: Stack, seed: int
) -> None:
    await asyncio.to_thread(stack.up, only=SERVICES)
    kafka = topic_settings(stack)
    before = await log_ends(kafka, "pins")
    odd = odd_pins(seed)
    assert len(odd) > 100
    pins = [*odd, *islice(traffic(seed), PINS - len(odd))]
    receipts = Receipts()

    summary = await _post_while_services_die(stack, pins, receipts)

    assert summary.posted == receipts.count == PINS
    assert summary.retries.total() > 0, "the death of ingest-api was felt"
    assert receipts.logs == {await topic_log(kafka, "pins")}
    assert len(receipts.pins) == PINS, "no two pins were given the same position"
    span = OffsetRange(before, await log_ends(kafka, "pins"))
    records = await read_topic(kafka, "pins", span)
    topic = {(r.partition, r.offset): r for r in records}
    assert {position: topic[position].value for position in receipts.pins} == receipts.pins
    _assert_only_unanswered_pins_are_repeated(pins, [r.value for r in records], summary)
    await _assert_archived_once(stack, span, topic)

    await _kill_a_batch_run_in_the_middle_of_its_writes(stack)
    for loaded in await asyncio.gather(_batch_run(stack), _batch_run(stack)):
        assert loaded["read"] == loaded["clean"] + loaded["duplicate"] + sum(loaded["rejected"].values())
        assert loaded["read"] >= len(records), "side by side, each loads what neither has"
    assert (await _batch_run(stack, code=NOTHING_TO_DO))["objects"] == 0

    log = await topic_log(kafka, "pins")
    live = await read_live_side(kafka, "pins", live_dsn(stack), log, records)
    catalogue = await asyncio.to_thread(read_catalogue, catalogue_settings(stack))
    wanted = expected(log, records)
    _assert_catalogue_is(catalogue, wanted)
    _assert_live_side_is(live, wanted, {identity(log, record) for record in records})
    assert {key: live.versions[key] for key in wanted.pins} == {
        key: catalogue.versions[key] for key in wanted.pins
    }, "one number decides in both stores"


async def _post_while_services_die(stack: Stack, pins: list[bytes], receipts: Receipts) -> Summary:
    """Kill a service after each quarter of the pins, s3-sink and stream-etl in the middle of their work."""
    kills = {PINS * (i + 1) // 4: service for i, service in enumerate(SERVICES)}
    pids = {program: stack.pid_of(program) for program in SERVICES}
    killing: list[asyncio.Task[None]] = []

    def progress(summary: Summary) -> None:
        for due in [due for due in kills if summary.posted >= due]:
            killing.append(asyncio.create_task(asyncio.to_thread(stack.kill, kills.pop(due))))

    summary = await post(
        pins,
        url=stack.settings.ingest_url,
        connections=16,
        on_receipts=receipts.take,
        on_progress=progress,
    )
    await asyncio.gather(*killing)
    await asyncio.to_thread(stack.wait_ready, *pids, timeout_seconds=120)
    assert len(killing) == len(SERVICES)
    assert all(stack.pid_of(program) != pid for program, pid in pids.items()), "all were restarted"
    return summary


def _assert_only_unanswered_pins_are_repeated(
    pins: list[bytes], stored: list[bytes], summary: Summary
) -> None:
    """A pin whose answer was lost is posted again: at most one more copy for each request tried again."""
    surplus = Counter(stored) - Counter(pins)
    assert surplus.total() == len(stored) - PINS
    assert surplus.total() <= summary.retries.total()


async def _assert_archived_once(
    stack: Stack, span: OffsetRange, topic: dict[Position, ConsumerRecord]
) -> None:
    async with s3_bucket(archive_settings(stack)) as store:
        archived = await archived_within(
            store, await topic_log(topic_settings(stack), "pins"), span, seconds=60
        )
    positions = Counter((record.partition, record.offset) for record in archived)
    assert positions.keys() == topic.keys(), "every offset is in the archive"
    assert set(positions.values()) == {1}, "no offset is there twice"
    for record in archived:
        assert record.value == topic[record.partition, record.offset].value
        assert record.key == partition_key(decode(record.value or b"")[0])


async def _kill_a_batch_run_in_the_middle_of_its_writes(stack: Stack) -> None:
    job = stack.job("batch-etl", "run")
    before = await asyncio.to_thread(read_catalogue, catalogue_settings(stack))
    async with StallingProxy(stack.settings.cassandra_port, MID_WRITE_BYTES).running() as proxy:
        environment = {**job.environment, "BATCH_CASSANDRA_PORT": str(proxy.port)}
        process = await asyncio.create_subprocess_exec(*job.command, env=environment, start_new_session=True)
        try:
            await asyncio.wait_for(proxy.stalled.wait(), 240)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            assert await process.wait() == -signal.SIGKILL
    after = await asyncio.to_thread(read_catalogue, catalogue_settings(stack))
    changed = sum(after.pins[key] != before.pins.get(key) for key in after.pins)
    assert 0 < changed < PINS * 3 // 4, "it died after some of its rows and before others"


async def _batch_run(stack: Stack, code: int = 0) -> dict[str, Any]:
    job = stack.job("batch-etl", "run", "--json")
    ended = await asyncio.to_thread(
        subprocess.run, job.command, env=job.environment, check=False, stdout=subprocess.PIPE
    )
    assert ended.returncode == code
    summary: dict[str, Any] = json.loads(ended.stdout)
    return summary


def _assert_catalogue_is(catalogue: Catalogue, wanted: Expected) -> None:
    assert {key: catalogue.pins.get(key) for key in wanted.pins} == wanted.pins
    assert _rejected(pin for pin in catalogue.rejected if pin.unique_id in wanted.rejected) == {
        key: (pin.reason, pin.raw["source_log"], pin.raw["source_partition"], pin.raw["source_offset"])
        for key, pin in wanted.rejected.items()
    }


def _assert_live_side_is(live: LiveSide, wanted: Expected, run: set[RecordId]) -> None:
    assert {key: live.pins.get(key) for key in wanted.pins} == wanted.pins
    assert (live.late, live.windows) == (0, live.expected_windows)
    assert {pin.unique_id for pin in live.rejected if pin.record in run} == wanted.rejected.keys()


def _rejected(pins: Iterable[RejectedPin]) -> dict[UUID | None, tuple[str, str, int, int]]:
    return {pin.unique_id: (pin.reason, *pin.record) for pin in pins}
