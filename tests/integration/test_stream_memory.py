"""stream-etl's memory is bounded in bytes, whatever a batch holds: the kernel's peaks, all processes."""

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaProducer
from native_stack.stack import Stack
from stream_program import Process, create_topic, fetch, stream_etl

pytestmark = pytest.mark.must(24, 28)

LONG = bool(os.environ.get("PINFLOW_LONG"))
MIB = 2**20
# deploy/compose/services.yaml, mem_limit.
CONTAINER_BYTES = 2560 * MIB
# The short form has less of all three.
PINS, HEAVY_MIB, HEAP = (14_000, 100, "1g") if LONG else (3_000, 24, "480m")
SECONDS = 900 if LONG else 240
TEXT = "a" * 15_500


@dataclass
class Peak:
    """The greatest sum of the high-water marks of the processes that ran at one time."""

    bytes: int = 0
    detail: str = ""

    def look(self, run: Process) -> None:
        marks: list[tuple[str, int]] = []
        seen_java = False
        for pid in (run.process.pid, *map(_pid, psutil.Process(run.process.pid).children(recursive=True))):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
                is_java = Path(f"/proc/{pid}/exe").readlink().name == "java"
            except OSError:
                continue
            # A JVM that starts a process is two for a moment, with one memory.
            if is_java and seen_java:
                continue
            seen_java |= is_java
            fields = dict(line.split(":", 1) for line in status.splitlines())
            if "VmHWM" in fields:
                marks.append((fields["Name"].strip(), int(fields["VmHWM"].split()[0]) * 1024))
        total = sum(size for _, size in marks)
        if total > self.bytes:
            self.bytes = total
            self.detail = ", ".join(f"{name} {size // MIB}" for name, size in marks)


def _pid(process: psutil.Process) -> int:
    return process.pid


@asynccontextmanager
async def watched(run: Process) -> AsyncIterator[Peak]:
    peak = Peak()

    async def look() -> None:
        while True:
            if run.process.returncode is None:
                peak.look(run)
            await asyncio.sleep(0.1)

    looking = asyncio.create_task(look())
    try:
        yield peak
    finally:
        looking.cancel()


def large_pin(number: int) -> tuple[bytes, bytes]:
    """Key and value of a legal pin of 62 KiB that is almost nothing on the wire."""
    unique_id = str(uuid.UUID(int=number))
    fields = dict.fromkeys(("title", "description", "tag_list", "save_location"), TEXT)
    more = {"index": number, "unique_id": unique_id, "image_src": "https://example.org/a.jpg"}
    more |= {"category": f"c{number % 5}", "poster_name": f"p{number % 50}"}
    return unique_id.encode(), json.dumps(fields | more).encode()


async def until_written(run: Process, records: int) -> None:
    await run.until_metric(lambda count: count >= records, "pinflow_stream_records_total", seconds=SECONDS)
    for query in ("live", "sessions"):
        await run.until_metric(lambda lag: lag == 0, "pinflow_stream_lag_records", query, seconds=SECONDS)


@pytest.mark.timeout(SECONDS + 120)
async def test_large_pins_and_a_heavy_record_are_written_within_the_containers_memory(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = f"stream-large-{uuid.uuid4().hex[:8]}"
    # As if the broker's cap were lifted: this topic has none.
    await create_topic(stack, topic, 6)
    async with AIOKafkaProducer(
        bootstrap_servers=stack.settings.kafka_address,
        compression_type="zstd",
        max_batch_size=MIB,
        max_request_size=2**31,
        request_timeout_ms=30_000,
    ) as producer:
        heavy = await producer.send_and_wait(topic, b'{"a":"' + b"x" * (HEAVY_MIB * MIB) + b'"}', partition=4)
        for number in range(PINS):
            key, value = large_pin(number)
            await producer.send(topic, value, key=key)
    async with (
        stream_etl(stack, topic, tmp_path / "checkpoints", tmp_path / "log", SPARK_DRIVER_MEMORY=HEAP) as run,
        watched(run) as peak,
    ):
        await until_written(run, PINS + 1)
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{PINS} pins of 62 KiB and a record of {HEAVY_MIB} MiB, heap {HEAP}: "
            f"peak {peak.bytes // MIB} MiB ({peak.detail})"
        )
    (row,) = await fetch(stack, "SELECT count(*) FROM pins WHERE title = $1", TEXT)
    assert row["count"] == PINS
    rejected = await fetch(
        stack,
        "SELECT reason, length(raw) FROM rejected_pins WHERE source_partition = 4 AND source_offset = $1 "
        "AND extract(epoch FROM event_time) * 1000 = $2",
        heavy.offset,
        heavy.timestamp,
    )
    assert rejected == [{"reason": "too_large", "length": 64 * 1024}]
    assert peak.bytes < CONTAINER_BYTES
