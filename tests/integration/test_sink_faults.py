"""s3-sink as a process beside the real Kafka and S3: faults that stopped it or cost records."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from uuid import UUID, uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import MessageSizeTooLargeError
from native_stack.stack import Stack
from raw_batch import GZIP, LZ4, produce_raw, with_foreign_header_names, with_trailing_bytes
from s3_proxy import S3Proxy
from sink_lab import CREATE_TIME, SinkLab

pytestmark = pytest.mark.must(7, 8, 9, 10, 11, 12)

# The limit of the container is 512 MiB; this is what the design wants.
PEAK_MIB = 300
LARGEST_RECORD = 2 * 1024 * 1024
HOUR_MS = 3_600_000


@pytest.fixture
async def lab(stack: Stack) -> AsyncIterator[SinkLab]:
    async with SinkLab.opened(stack) as lab:
        yield lab


@pytest.fixture
async def dated_lab(stack: Stack) -> AsyncIterator[SinkLab]:
    """One partition whose records have the times that a test gives them."""
    async with SinkLab.opened(stack, 1, CREATE_TIME) as lab:
        yield lab


def now_ms() -> int:
    return int(time.time() * 1000)


def pins(first: int, count: int, **more: object) -> list[bytes]:
    return [
        json.dumps({"index": n, "unique_id": str(UUID(int=n)), "image_src": "x", **more}).encode()
        for n in range(first, first + count)
    ]


async def test_a_topic_created_again_behind_a_paused_sink_is_archived_beside_the_old_one(
    lab: SinkLab,
) -> None:
    old = await lab.log()
    async with lab.sink() as sink:
        await lab.post(pins(0, 500))
        before = await lab.archives(old, 500)
        sink.send(signal.SIGSTOP)
        await lab.recreate_topic()
        await lab.post(pins(1000, 700))
        sink.send(signal.SIGCONT)
        new = await lab.log()
        assert new != old, "the fault fired"
        after = await lab.archives(new, 700)
        await sink.is_ready()
        assert await sink.metric('pinflow_sink_logs_replaced_total{partition="0"}') == 1
    assert [record.value for record in before] == pins(0, 500)
    assert [record.value for record in after] == pins(1000, 700)
    assert await lab.archived(old) == before
    assert min(record.version for record in after) > max(record.version for record in before)


async def test_a_record_too_large_for_its_dead_letter_holds_up_nobody(lab: SinkLab) -> None:
    size = await largest_record(lab)
    await lab.post(pins(0, 5), partition=0)
    await lab.post(pins(0, 5), partition=1)
    async with lab.sink() as sink:
        assert len(await lab.archives(await lab.log(), 6, partition=0)) == 6
        assert len(await lab.archives(await lab.log(), 5, partition=1)) == 5
        await sink.is_ready()
    (letter,) = await lab.held(lab.dead_letters)
    headers = dict(letter.headers)
    assert (headers["partition"], headers["offset"], headers["value_bytes"]) == (b"0", b"0", b"%d" % size)
    assert headers["log"].decode() == await lab.log()
    assert 0 < len(letter.value) < size


async def largest_record(lab: SinkLab) -> int:
    """Produce the largest record that the topic takes; return its size."""
    async with lab.producer(max_request_size=2 * LARGEST_RECORD) as producer:
        for spare in range(60, 200):
            try:
                await producer.send_and_wait(lab.topic, os.urandom(LARGEST_RECORD - spare), partition=0)
            except MessageSizeTooLargeError:
                continue
            return LARGEST_RECORD - spare
    raise AssertionError("the topic takes no large record")


async def test_a_store_that_refuses_writes_is_down_until_a_write_succeeds(lab: SinkLab) -> None:
    async with (
        S3Proxy(str(lab.s3.s3_endpoint_url)).running() as proxy,
        lab.sink(s3_endpoint_url=proxy.url) as sink,
    ):
        await sink.is_ready()
        proxy.refuse_puts = True
        await lab.post(pins(0, 5))
        await sink.says(lambda report: "PutObject" in report.get("s3", ""))
        for _ in range(20):  # while LIST and HEAD answer, the probe's too
            await asyncio.sleep(0.4)
            assert "PutObject" in (await sink.ready())["s3"]
        assert proxy.refused > 0, "the fault fired"
        proxy.refuse_puts = False
        assert len(await lab.archives(await lab.log(), 5)) == 5
        await sink.is_ready()


async def test_lists_answered_without_a_body_stop_nobody(lab: SinkLab) -> None:
    async with lab.sink() as sink:
        await lab.post(pins(0, 5))
        await lab.archives(await lab.log(), 5)
        await sink.is_ready()
    async with S3Proxy(str(lab.s3.s3_endpoint_url)).running() as proxy:
        proxy.empty_lists = 3
        # Another group has no commit that names the newest object.
        async with lab.sink(s3_endpoint_url=proxy.url, kafka_group=f"{lab.topic}-2") as sink:
            await lab.post(pins(5, 5))
            assert [r.value for r in await lab.archives(await lab.log(), 10)] == pins(0, 10)
            await sink.is_ready()
        assert proxy.empty_lists == 0, "the fault fired"


async def test_the_end_of_a_transaction_is_no_lag(lab: SinkLab) -> None:
    async with lab.sink() as sink, lab.producer(transactional_id=f"lab-{uuid4()}") as producer:
        async with producer.transaction():
            for pin in pins(0, 3):
                await producer.send_and_wait(lab.topic, pin, partition=0)
        await lab.archives(await lab.log(), 3)
        await asyncio.sleep(5)
        assert await sink.metric('pinflow_sink_lag_records{partition="0"}') == 0
        assert await sink.metric('pinflow_sink_lag_seconds{partition="0"}') == 0
        await sink.is_ready()


async def test_a_second_sink_of_one_name_waits_and_the_first_goes_on(lab: SinkLab) -> None:
    async with lab.sink() as first:
        await first.is_ready()
        async with lab.sink() as second:
            report = await second.says(lambda report: "taken" in report.get("kafka", ""))
            assert "'lab'" in report["kafka"]
            await lab.post(pins(0, 50))
            assert len(await lab.archives(await lab.log(), 50)) == 50
            await first.is_ready(seconds=5)


async def test_of_two_sinks_of_one_name_in_the_group_the_younger_ends_and_says_why(
    lab: SinkLab, capfd: pytest.CaptureFixture[str]
) -> None:
    async with lab.sink() as first:
        await first.is_ready()
        first.send(signal.SIGSTOP)
        async with lab.sink() as second:  # joins when the session of the first has run out
            await second.is_ready()
            first.send(signal.SIGCONT)
            async with asyncio.timeout(30):
                assert await second.process.wait() == 1
        await lab.post(pins(0, 50))
        assert len(await lab.archives(await lab.log(), 50)) == 50
        await first.is_ready()
    assert "the instance name 'lab' is taken" in capfd.readouterr().out


@pytest.mark.parametrize(
    "undecodable",
    [
        with_foreign_header_names,
        partial(with_trailing_bytes, codec=GZIP),
        partial(with_trailing_bytes, codec=LZ4),
    ],
    ids=["header names", "gzip", "lz4"],
)
async def test_a_batch_that_cannot_be_decoded_stops_its_partition_alone(
    lab: SinkLab, undecodable: Callable[[list[bytes]], bytes]
) -> None:
    await lab.post(pins(0, 5))
    assert await produce_raw(lab.kafka, TopicPartition(lab.topic, 0), undecodable(pins(5, 3))) == 5
    await lab.post(pins(8, 2))
    async with lab.sink() as sink:
        report = await sink.says(
            lambda report: "undecodable-batch" in report.get(f"{lab.topic}-0", ""), seconds=30
        )
        assert "what the log holds at 5 cannot be decoded" in report[f"{lab.topic}-0"]
        log = await lab.log()
        for first in (0, 5):
            await lab.post(pins(first, 5), partition=1)
            await lab.archives(log, first + 5, partition=1, seconds=10)
            assert {name for name, state in (await sink.ready()).items() if state != "up"} == {
                f"{lab.topic}-0"
            }
        await sink.shows('pinflow_sink_lag_records{partition="0"}', 5)
    assert [record.value for record in await lab.archived(log)] == pins(0, 5)


async def test_an_idle_partition_costs_a_handful_of_lists_whatever_the_age_of_its_archive(
    dated_lab: SinkLab,
) -> None:
    lab, hours = dated_lab, 100
    async with lab.sink() as sink:
        await lab.post(pins(0, hours), timestamps=[now_ms() - n * HOUR_MS for n in range(hours - 1, -1, -1)])
        await lab.archives(await lab.log(), hours)
        await sink.is_ready()
    assert len(await lab.keys(await lab.log())) == hours, "the archive is old"
    async with (
        S3Proxy(str(lab.s3.s3_endpoint_url)).running() as proxy,
        lab.sink(s3_endpoint_url=proxy.url) as sink,
    ):
        await sink.is_ready()
        print(f"s3-sink: {proxy.lists} LISTs for an archive of {hours} hours")  # noqa: T201
        assert 0 < proxy.lists <= 5


async def test_objects_that_expired_by_age_are_no_stop(dated_lab: SinkLab) -> None:
    lab, old = dated_lab, [now_ms() - 3 * 24 * HOUR_MS] * 5
    log = await lab.log()
    async with lab.sink() as sink:
        await lab.post(pins(0, 5), timestamps=old)
        before = await lab.archives(log, 5)
        await lab.committed(5)
    await lab.expire_objects()
    assert await lab.archived(log) == [], "the fault fired"
    await lab.post(pins(5, 5), timestamps=[now_ms()] * 5)
    async with lab.sink(archive_expire_days=2) as sink:
        after = await lab.archives(log, 5)
        await sink.is_ready(seconds=5)
    assert [record.offset for record in after] == [5, 6, 7, 8, 9]
    assert min(record.version or 0 for record in after) > max(record.version or 0 for record in before)


@pytest.mark.parametrize("commits", ["kept", "lost"])
async def test_a_clock_that_was_ahead_hides_no_newest_object(dated_lab: SinkLab, commits: str) -> None:
    lab, now = dated_lab, now_ms()
    log = await lab.log()
    async with lab.sink():
        for turn, ahead in enumerate((0, 2, 0)):
            await lab.post(pins(5 * turn, 5), timestamps=[now + ahead * HOUR_MS] * 5)
            await lab.archives(log, 5 * turn + 5)
    hour = now // HOUR_MS
    assert [key.hour for key in await lab.keys(log)] == [hour, hour + 2, hour], "the fault fired"
    group = lab.topic if commits == "kept" else f"{lab.topic}-2"
    async with lab.sink(kafka_group=group) as sink:
        await lab.post(pins(15, 5), timestamps=[now] * 5)
        records = await lab.archives(log, 20)
        await sink.is_ready()
    assert [record.value for record in records] == pins(0, 20)
    versions = [record.version or 0 for record in records]
    assert versions == sorted(set(versions))


async def test_records_that_inflate_400_times_stay_within_the_memory(lab: SinkLab) -> None:
    text = "a" * 15_500
    large = {"title": text, "description": text, "tag_list": text, "save_location": text}
    count = 14_000 if os.environ.get("PINFLOW_LONG") else 3_000
    for partition in (0, 1):
        await lab.post(pins(0, count // 2, **large), partition)
    async with lab.sink(flush_max_seconds=60) as sink:
        for partition in (0, 1):
            await lab.archives(await lab.log(), count // 2 - 300, partition, seconds=120)
        print(f"s3-sink: peak {sink.peak_mib:.0f} MiB for {count} pins of 62 KiB")  # noqa: T201
        assert sink.peak_mib < PEAK_MIB
