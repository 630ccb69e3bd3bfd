"""The sink against the fakes: what is archived, what is adopted, where it stops by name."""

import random
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from aiokafka import TopicPartition
from pin_schema.archive import ObjectKey
from prometheus_client import CollectorRegistry
from s3_sink.lag import ConsumerStalledError
from s3_sink.resume import Bookmark
from s3_sink.sink import Sink
from s3_sink.testing import LETTERS, P0, P1, World, a_pin
from service_runtime.broker import Commit, Record
from service_runtime.object_store import StoredObject
from service_runtime.testing.object_store import InMemoryObjectStore

STOPPED = {"partition": "0", "reason": "commit-beyond-archive"}
pytestmark = pytest.mark.must(8, 10, 11, 12, 13)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()


async def test_every_record_is_archived_once_in_offset_order(world: World) -> None:
    async with world.sink():
        for _ in range(5):
            world.post(40, P0)
            world.post(10, P1)
            await world.pass_time(2)
    assert world.offsets(P0) == list(range(200))
    assert world.offsets(P1) == list(range(50))
    assert [record.value for record in world.archived(P1)][:2] == [a_pin(0), a_pin(1)]
    assert 1 < len(world.store.objects) < 20


async def test_the_commit_follows_the_object(world: World) -> None:
    async with world.sink():
        world.post(3)
        await world.pass_time(4)
        assert world.broker.commits == {}
        await world.pass_time(3)
        assert world.commit() == 3
        assert world.bookmark().object == str(world.object_keys()[0])


async def test_an_object_is_cut_by_size(world: World) -> None:
    world.post(100)
    async with world.sink(flush_max_bytes=1024):
        await world.pass_time(2)
        assert len(world.store.objects) > 5
    assert world.offsets() == list(range(100))


async def test_an_object_is_cut_at_the_hour_and_keeps_stragglers(world: World) -> None:
    hour = 1_800_000_000_000
    for timestamp in (hour - 2, hour - 3, hour, hour - 1, hour + 1):
        world.broker.append(P0, a_pin(), timestamp=timestamp)
    async with world.sink():
        await world.pass_time(1)
    cut = {key.start: int(world.store.objects[str(key)].metadata["count"]) for key in world.object_keys()}
    assert cut == {0: 2, 2: 3}


async def test_a_crashed_sink_goes_on_where_the_bucket_ends(world: World) -> None:
    async with world.sink(flush_max_seconds=1) as running:
        world.post(10)
        await world.pass_time(2)
        world.post(5)
        await world.pass_time(0.3)
        await running.crash()
    assert world.offsets() == list(range(10))
    world.broker.commits.clear()  # the commit is only a hint
    async with world.sink():
        await world.pass_time(1)
    assert world.offsets() == list(range(15))


async def test_a_bucket_ahead_of_the_commit_is_believed(world: World) -> None:
    world.post(10)
    async with world.sink():
        await world.pass_time(1)
    world.broker.commits["s3-sink", P0] = Commit(4, "")
    puts = world.store.puts
    async with world.sink():
        await world.pass_time(1)
    assert world.store.puts == puts
    assert world.offsets() == list(range(10))


async def test_an_object_stored_by_another_member_is_adopted(world: World) -> None:
    world.post(6)
    stamp = world.broker.log(P0)[0].timestamp
    async with world.sink():
        await world.pass_time(1)
        world.put_object(0, 3, stamp, stamp)  # a zombie is first, with fewer records
        await world.pass_time(6)
        assert world.metric("pinflow_sink_objects_total", outcome="adopted") == 1
    starts = sorted(ObjectKey.parse(key).start for key in world.store.objects)
    assert starts == [0, 4]
    assert [int(o.metadata["end"]) for o in world.store.objects.values()] == [3, 5]


async def test_records_read_before_an_adoption_are_read_again(world: World) -> None:
    world.post(6)
    stamp = world.broker.log(P0)[0].timestamp
    async with world.sink(flush_max_seconds=1, flush_max_bytes=2048):
        await world.pass_time(0.5)
        world.store.open.clear()
        await world.pass_time(1)
        world.put_object(0, 3, stamp, stamp)
        world.post(20)
        world.store.open.set()  # the worker adopts while the loop is about to poll from the old position
        await world.pass_time(5)
    starts = {ObjectKey.parse(key).start: o for key, o in world.store.objects.items()}
    ends = [int(starts[start].metadata["end"]) for start in sorted(starts)]
    assert sorted(starts) == [0, *(end + 1 for end in ends[:-1])], "each object starts where the last ended"
    assert ends[-1] == 25


async def test_nothing_is_sealed_at_the_old_position_while_an_adoption_takes_its_time(world: World) -> None:
    world.post(6)
    stamp = world.broker.log(P0)[0].timestamp
    async with world.sink(flush_max_seconds=1, flush_max_bytes=2048):
        await world.pass_time(0.5)
        world.put_object(0, 3, stamp, stamp)
        world.broker.latency = 0.7
        await world.pass_time(0.6)
        for _ in range(20):
            world.post(20)
            await world.pass_time(0.2)
        world.broker.latency = 0
        await world.pass_time(5)
        assert world.metric("pinflow_sink_objects_total", outcome="adopted") == 1
    starts = {ObjectKey.parse(key).start: o for key, o in world.store.objects.items()}
    ends = [int(starts[start].metadata["end"]) for start in sorted(starts)]
    assert sorted(starts) == [0, *(end + 1 for end in ends[:-1])], "each object starts where the last ended"
    assert ends[-1] == 405


async def test_an_object_of_another_log_at_our_key_stops(world: World) -> None:
    world.post(6)
    stamp = world.broker.log(P0)[0].timestamp
    async with world.sink():
        await world.pass_time(1)
        world.put_object(0, 3, stamp + 1, stamp)
        await world.pass_time(6)
        assert "log-truncated" in world.ready()["pins-0"]


async def test_a_lost_answer_doubles_nothing(world: World) -> None:
    world.post(5)
    world.store.lose_answers = 3
    async with world.sink(flush_max_seconds=1):
        await world.pass_time(3)
        world.post(5)
        await world.pass_time(3)
    assert world.store.lose_answers == 1, "the fault fired"
    assert world.offsets() == list(range(10))
    assert world.metric("pinflow_sink_objects_total", outcome="adopted") == 0


async def test_a_store_that_is_away_is_awaited_and_named(world: World) -> None:
    async with world.sink(flush_max_seconds=1):
        world.post(5)
        await world.pass_time(0.5)
        world.store.away = True
        await world.pass_time(30)
        assert "PutObject: the object store is away" in world.ready()["s3"]
        assert world.offsets() == []
        world.store.away = False
        await world.pass_time(8)
        assert world.ready()["s3"] == "up"
        assert world.offsets() == list(range(5))


async def test_services_may_start_in_any_order(world: World) -> None:
    world.store.away = world.broker.away = True
    async with world.sink(flush_max_seconds=1):
        await world.pass_time(5)
        assert world.ready() == {
            "kafka": "join: the broker is away",
            "s3": "HeadObject: the object store is away",
            "dead-letters": "up",
            "pins": "not tried yet",
        }
        world.broker.away = False
        world.post(5)
        await world.pass_time(5)
        assert world.ready()["pins-0"] == "finding where the archive ends"
        world.store.away = False
        await world.pass_time(8)
        assert set(world.ready().values()) == {"up"}
    assert world.offsets() == list(range(5))


@pytest.mark.parametrize(
    ("flush_max_bytes", "buffer_max_bytes"),
    [(64 * 1024, 10**9), (10**9, 4 * 1024 * 1024)],
    ids=["queue", "budget"],
)
async def test_a_backlog_stays_within_the_budget_while_the_store_is_away(
    world: World, flush_max_bytes: int, buffer_max_bytes: int
) -> None:
    budget = 4 * 1024 * 1024
    async with world.sink(
        flush_max_seconds=60, flush_max_bytes=flush_max_bytes, buffer_max_bytes=buffer_max_bytes
    ):
        await world.pass_time(1)
        world.store.away = True
        for _ in range(30):
            for index in range(20):
                world.broker.append(P0, a_pin(index, title=random.randbytes(4000).hex()))
            await world.pass_time(0.5)
        assert 0 < world.metric("pinflow_sink_buffered_bytes") < 2 * budget
        world.store.away = False
        await world.pass_time(20)
    assert world.offsets() == list(range(600))


async def test_gaps_in_the_log_are_legal(world: World) -> None:
    async with world.sink():
        world.post(3)
        await world.pass_time(1)
        world.broker.skip_offsets(P0, 4)
        world.post(2)
        await world.pass_time(1)
    assert world.offsets() == [0, 1, 2, 7, 8]


async def test_a_member_that_joins_takes_over_without_a_double(world: World) -> None:
    async with world.sink(flush_max_seconds=2):
        world.post(20, P0)
        world.post(20, P1)
        await world.pass_time(1)
        async with world.sink(flush_max_seconds=2):
            await world.pass_time(1)
            world.post(20, P0)
            world.post(20, P1)
            await world.pass_time(5)
        world.post(20, P1)
        await world.pass_time(5)
    assert world.offsets(P0) == list(range(40))
    assert world.offsets(P1) == list(range(60))


async def test_what_is_no_pin_is_archived_and_dead_lettered(world: World) -> None:
    values = [a_pin(1), b"\xff\x00garbage", b'{"index": -1}', None, a_pin(2)]
    for value in values:
        world.broker.append(P0, value, key=b"k")
    async with world.sink():
        await world.pass_time(1)
    assert [record.value for record in world.archived()] == values
    letters = world.broker.log(LETTERS)
    assert [(dict(x.headers)["reason"], dict(x.headers)["offset"]) for x in letters] == [
        (b"not_utf8", b"1"),
        (b"out_of_range", b"2"),
        (b"no_value", b"3"),
    ]
    assert letters[0].value == values[1]
    assert dict(letters[0].headers)["topic"] == b"pins"


async def test_dead_letters_are_safe_before_the_object_stands(world: World) -> None:
    async with world.sink(flush_max_seconds=1):
        await world.pass_time(1)
        world.broker.append(P0, b"garbage")
        await world.pass_time(0.5)
        world.broker.away = True
        await world.pass_time(5)
        assert world.store.objects == {}
        world.broker.away = False
        await world.pass_time(5)
        assert world.offsets() == [0]
    assert len(world.broker.log(LETTERS)) == 1


async def test_a_letter_that_its_topic_refuses_is_kept_by_position(world: World) -> None:
    world.broker.max_batch_bytes = 2000
    for value in (b"garbage", b"x" * 5000, b"rubbish"):
        world.broker.append(P0, value, key=b"k")
    async with world.sink(flush_max_seconds=1):
        await world.pass_time(5)
        assert set(world.ready().values()) == {"up"}
    letters = world.broker.log(LETTERS)
    assert [(dict(x.headers)["offset"], x.value) for x in letters] == [
        (b"0", b"garbage"),
        (b"1", b""),
        (b"2", b"rubbish"),
    ]
    assert dict(letters[1].headers)["value_bytes"] == b"5000"
    assert world.offsets() == [0, 1, 2]


async def test_a_dead_letter_topic_that_is_not_there_is_waited_for_by_name(world: World) -> None:
    async with world.sink(flush_max_seconds=1, kafka_dead_letter_topic="pins.missing") as running:
        await world.pass_time(1)
        assert set(world.ready().values()) == {"up"}
        world.broker.append(P0, b"garbage")
        # Long enough for Kafka to have answered other questions since.
        await world.pass_time(30)
        assert world.ready()["dead-letters"].startswith("pins-0: pins.missing: the topic does not exist")
        assert world.ready()["kafka"] == "up"
        assert world.offsets() == []
        await running.crash()
    assert world.ready()["dead-letters"] == "up"


async def test_a_commit_beyond_the_archive_stops_that_partition_only(world: World) -> None:
    world.post(10, P0)
    world.post(10, P1)
    async with world.sink():
        await world.pass_time(1)
    lost = world.bookmark(P0).object
    del world.store.objects[lost]
    async with world.sink():
        await world.pass_time(10)
        assert f"the group has committed 10 with {lost}, which is not there" in world.ready()["pins-0"]
        assert world.metric("pinflow_sink_partition_stopped", **STOPPED) == 0, "one answer is not enough"
        await world.pass_time(60)
        assert "docs/runbooks/sink-commit-beyond-archive.md" in world.ready()["pins-0"]
        assert world.metric("pinflow_sink_partition_stopped", **STOPPED) == 1
        world.post(10, P1)
        await world.pass_time(6)
    assert world.offsets(P0) == []
    assert world.offsets(P1) == list(range(20))


async def test_a_stopped_partition_goes_on_by_itself_when_the_cause_is_gone(world: World) -> None:
    world.post(10)
    async with world.sink():
        await world.pass_time(1)
    lost = world.bookmark().object
    kept = world.store.objects.pop(lost)
    async with world.sink():
        await world.pass_time(70)
        assert world.metric("pinflow_sink_partition_stopped", **STOPPED) == 1
        world.store.objects[lost] = kept
        world.post(5)
        await world.pass_time(70)
        assert world.metric("pinflow_sink_partition_stopped", **STOPPED) == 0
        assert set(world.ready().values()) == {"up"}
    assert world.offsets() == list(range(15))


async def test_a_commit_of_kafkas_tools_is_ignored(world: World) -> None:
    world.post(10)
    world.broker.commits["s3-sink", P0] = Commit(7, "")
    async with world.sink():
        await world.pass_time(6)
    assert world.offsets() == list(range(10))


async def test_objects_that_expired_by_age_are_not_missed(world: World) -> None:
    world.post(5)
    async with world.sink():
        await world.pass_time(6)
    world.clock.jump(3 * 86400)
    world.store.objects.clear()
    world.post(5)
    async with world.sink(archive_expire_days=2):
        await world.pass_time(6)
        assert world.ready()["pins-0"] == "up"
    assert world.offsets() == list(range(5, 10)), "it goes on at the commit"
    numbers = [record.version or 0 for record in world.archived()]
    assert min(numbers) > 5 + 1_800_000_000_000_000


async def test_objects_that_are_gone_before_their_age_are_missed(world: World) -> None:
    world.post(5)
    async with world.sink():
        await world.pass_time(6)
    world.clock.jump(86400)
    world.store.objects.clear()
    async with world.sink(archive_expire_days=2):
        await world.pass_time(70)
        assert "commit-beyond-archive" in world.ready()["pins-0"]


async def test_a_bucket_ahead_of_the_log_stops(world: World) -> None:
    world.put_object(0, 99, 1, 2)
    world.post(10)
    async with world.sink():
        await world.pass_time(66)
        assert (
            "archive-ahead-of-topic: the archive goes on at 100, the log ends at 10"
            in world.ready()["pins-0"]
        )
    assert len(world.store.objects) == 1


@pytest.mark.parametrize("refilled", [0, 3, 9], ids=["empty", "shorter", "longer"])
@pytest.mark.parametrize("running", [False, True])
async def test_a_topic_created_again_is_archived_beside_the_old_one(
    world: World, *, running: bool, refilled: int
) -> None:
    world.post(5)
    sink = world.start()
    await world.pass_time(6)
    old = world.log
    if not running:
        await sink.stop()
    world.broker.recreate_topic("pins")
    world.post(refilled)
    if not running:
        sink = world.start()
    await world.pass_time(12)
    assert set(world.ready().values()) == {"up"}
    await sink.stop()
    assert world.log != old
    assert world.offsets(log=old) == list(range(5))
    assert world.offsets() == list(range(refilled))
    versions = [record.version or 0 for log in (old, world.log) for record in world.archived(log=log)]
    assert versions == sorted(set(versions)), "a new log's versions lie above the old one's"
    assert world.metric("pinflow_sink_logs_replaced_total", partition="0") == (running and 1)


async def test_what_was_read_of_an_old_log_is_stored_under_it(world: World) -> None:
    async with world.sink(flush_max_seconds=60):
        world.post(5)
        await world.pass_time(3)
        old = world.log
        world.post(2)
        world.broker.deaf = True
        await world.pass_time(3)  # it knows of two more, and has not read them
        world.broker.recreate_topic("pins")
        world.broker.deaf = False
        world.post(4)
        await world.pass_time(5)
        assert world.offsets(log=old) == list(range(5))
        assert world.metric("pinflow_sink_records_gone_with_their_log_total", partition="0") == 2
    assert world.offsets() == list(range(4))


async def test_a_topic_that_is_not_there_is_no_proof(world: World) -> None:
    async with world.sink(flush_max_seconds=1):
        world.post(5)
        await world.pass_time(3)
        old = world.log
        world.broker.delete_topic("pins")
        await world.pass_time(10)
        assert "no partition" in world.ready()["pins"]
    assert world.offsets(log=old) == list(range(5))


async def test_a_leader_change_costs_no_record(world: World) -> None:
    async with world.sink(flush_max_seconds=2):
        for _ in range(5):
            world.post(7)
            await world.pass_time(1)
            world.broker.elect(P0)
            await world.pass_time(0.5)
        await world.pass_time(5)
        assert set(world.ready().values()) == {"up"}
    assert world.offsets() == list(range(35))


async def test_a_log_that_lost_its_tail_and_grew_again_is_noticed(world: World) -> None:
    async with world.sink(flush_max_seconds=1):
        world.post(10)
        await world.pass_time(3)
        world.broker.truncate(P0, 6)
        for index in range(8):
            world.broker.append(P0, a_pin(100 + index))
        await world.pass_time(70)
        assert "log-truncated: the archive's last record is 9" in world.ready()["pins-0"]
    assert world.offsets() == list(range(10))


async def test_a_tail_that_was_lost_before_it_was_archived_is_read_again(world: World) -> None:
    async with world.sink(flush_max_seconds=5):
        world.post(10)
        await world.pass_time(6)
        world.post(10)
        await world.pass_time(1)  # read, and not stored yet
        world.broker.truncate(P0, 12)
        for index in range(8):
            world.broker.append(P0, a_pin(100 + index))
        await world.pass_time(12)
        assert set(world.ready().values()) == {"up"}
    assert [record.value for record in world.archived()] == [r.value for r in world.broker.log(P0)]


async def test_format_1_goes_on_in_the_log_that_holds_its_last_record(world: World) -> None:
    world.post(10)
    stamp = world.broker.log(P0)[0].timestamp
    world.put_object(0, 5, stamp, stamp, format_1=True)
    async with world.sink():
        await world.pass_time(6)
    assert world.offsets() == list(range(6, 10))
    owner = world.store.objects["raw/pins/format-1-owner"].metadata
    assert owner["topic_id"] == str(world.broker.identity(P0).topic_id)
    assert world.archived()[0].version == stamp * 1000 + 1000
    world.broker.commits.clear()
    world.post(1)
    async with world.sink():
        await world.pass_time(6)
    assert world.offsets() == list(range(6, 11))


@pytest.mark.parametrize("records", [3, 10], ids=["shorter", "another record there"])
async def test_format_1_of_another_log_stays_beside_the_new_one(world: World, records: int) -> None:
    world.post(records)
    stamp = world.broker.log(P0)[0].timestamp
    world.put_object(0, 5, stamp - 9, stamp - 9, format_1=True)
    async with world.sink():
        await world.pass_time(12)
        assert set(world.ready().values()) == {"up"}
    assert world.offsets() == list(range(records))
    assert "raw/pins/format-1-owner" not in world.store.objects


async def test_what_lies_among_the_objects_and_is_none_is_passed_over(world: World) -> None:
    world.post(5)
    world.store.objects["raw/pins/.DS_Store"] = StoredObject(b"", {})
    world.store.objects[f"raw/pins/log={world.log}/dt=2027-01-15/.DS_Store"] = StoredObject(b"", {})
    async with world.sink():
        await world.pass_time(6)
    world.broker.commits.clear()
    async with world.sink():
        await world.pass_time(6)
        assert set(world.ready().values()) == {"up"}
    assert world.offsets() == list(range(5))


async def test_records_lost_to_retention_stop_the_chain_at_its_start(world: World) -> None:
    world.post(5)
    async with world.sink():
        await world.pass_time(1)
    world.post(10)
    world.broker.delete_before(P0, 8)
    async with world.sink():
        await world.pass_time(6)
        assert "deleted-by-retention" in world.ready()["pins-0"]
        assert "records 5..7 are gone" in world.ready()["pins-0"]


async def test_records_lost_to_retention_stop_a_running_chain(world: World) -> None:
    async with world.sink():
        world.post(5)
        await world.pass_time(1)
        for _ in range(4):
            world.broker.append(P0, a_pin())
        world.broker.delete_before(P0, 7)
        await world.pass_time(6)
        assert "records 5..6 are gone" in world.ready()["pins-0"]


async def test_what_was_read_before_a_hole_is_stored_though_the_partition_stops(world: World) -> None:
    async with world.sink(flush_max_seconds=1):
        world.post(5)
        await world.pass_time(0.5)
        world.store.open.clear()
        await world.pass_time(1)  # the first object is on its way
        world.post(2)
        await world.pass_time(0.3)
        world.post(3)
        world.broker.delete_before(P0, 9)
        await world.pass_time(0.3)
        assert "deleted-by-retention" in world.ready()["pins-0"]
        world.store.open.set()
        await world.pass_time(3)
        assert world.offsets() == list(range(7))
        assert "deleted-by-retention" in world.ready()["pins-0"]


async def test_retention_that_took_only_archived_records_is_no_loss(world: World) -> None:
    world.post(5)
    async with world.sink():
        await world.pass_time(1)
    world.post(3)
    world.broker.delete_before(P0, 5)
    async with world.sink():
        await world.pass_time(6)
    assert world.offsets() == list(range(8))


async def test_a_batch_that_cannot_be_decoded_stops_its_partition_until_it_can(world: World) -> None:
    reason = {"partition": "0", "reason": "undecodable-batch"}
    async with world.sink(flush_max_seconds=1):
        world.post(5)
        world.broker.append_undecodable(P0, a_pin(5))
        world.post(3)
        await world.pass_time(5)
        assert "what the log holds at 5 cannot be decoded" in world.ready()["pins-0"]
        assert world.metric("pinflow_sink_partition_stopped", **reason) == 0, "one answer is not enough"
        assert world.offsets() == list(range(5))
        world.post(4, P1)
        await world.pass_time(200)
        assert world.ready()["pins-0"].endswith("see docs/runbooks/sink-undecodable-batch.md")
        assert world.ready()["kafka"] == world.ready()["pins-1"] == "up"
        assert world.metric("pinflow_sink_partition_stopped", **reason) == 1
        assert world.metric("pinflow_sink_lag_records", partition="0") == 4
        assert (world.offsets(P0), world.offsets(P1)) == (list(range(5)), list(range(4)))
        world.broker.repair(P0)
        await world.pass_time(70)
        assert world.metric("pinflow_sink_partition_stopped", **reason) == 0
        assert set(world.ready().values()) == {"up"}
    assert world.offsets() == list(range(9))


async def test_a_new_leader_with_a_sound_disk_lifts_the_stop(world: World) -> None:
    reason = {"partition": "0", "reason": "undecodable-batch"}
    async with world.sink(flush_max_seconds=1):
        world.post(5)
        world.broker.append_undecodable(P0, a_pin(5))
        await world.pass_time(130)
        assert world.metric("pinflow_sink_partition_stopped", **reason) == 1
        world.broker.repair(P0)
        world.broker.elect(P0)
        await world.pass_time(5)
        assert set(world.ready().values()) == {"up"}
        assert world.metric("pinflow_sink_partition_stopped", **reason) == 0
    assert world.offsets() == list(range(6))


async def test_a_log_may_begin_with_what_cannot_be_decoded(world: World) -> None:
    world.broker.append_undecodable(P0, a_pin())
    async with world.sink():
        await world.pass_time(130)
        assert world.ready()["pins-0"].startswith("undecodable-batch: what the log holds at 0")
        world.broker.delete_before(P0, 1)
        world.post(1)
        await world.pass_time(70)
        assert "deleted-by-retention" not in world.ready()["pins-0"], "nothing was archived before it"
    assert world.offsets() == [1]


async def test_an_unreadable_newest_object_stops(world: World) -> None:
    world.put_object(0, 3, 1, 2)
    (key,) = world.store.objects
    world.store.objects[key].metadata["format"] = "elephants/3"  # type: ignore[index]
    async with world.sink():
        await world.pass_time(3)
        assert "corrupt-archive" in world.ready()["pins-0"]


@pytest.mark.parametrize("commits", ["kept", "lost"])
async def test_the_newest_object_may_lie_in_any_hour(world: World, commits: str) -> None:
    now = 1_800_000_000_000
    for hours in (0, 5, 6, 0, 0):  # a broker's clock was ahead for a while
        world.broker.append(P0, a_pin(), timestamp=now + hours * 3_600_000)
        async with world.sink():
            await world.pass_time(1)
        if commits == "lost":
            world.broker.commits.clear()
    assert world.offsets() == list(range(5))
    versions = [record.version or 0 for record in world.archived()]
    assert versions == sorted(set(versions))


async def test_resuming_takes_a_handful_of_lists_whatever_the_age_of_the_archive(world: World) -> None:
    for hour in range(200):
        world.put_object(hour, hour, hour * 3_600_000, hour * 3_600_000)
    world.post(1)
    log = world.broker.log_of(P0)
    log.start = log.end = 201
    log.records.clear()
    newest = world.object_keys()[-1]
    bookmark = Bookmark(200, world.log, str(newest), 199 * 3_600_000, 0)
    world.broker.commits["s3-sink", P0] = Commit(200, bookmark.metadata)
    log.start = 200
    async with world.sink():
        await world.pass_time(3)
        assert world.ready()["pins-0"] == "up"
    assert world.store.lists < 20


async def test_a_consumer_that_hangs_ends_the_process(world: World) -> None:
    async with world.sink(stall_seconds=10) as running:
        world.post(3)
        await world.pass_time(1)
        world.broker.deaf = True
        world.post(3)
        await world.pass_time(15)
        assert running.task.done()
        with pytest.raises(ConsumerStalledError, match="nothing after 3 came"):
            await running.task


async def test_lag_is_shown_in_records_and_in_seconds(world: World) -> None:
    async with world.sink(flush_max_seconds=30):
        world.post(5)
        await world.pass_time(10)
        assert world.metric("pinflow_sink_lag_records", partition="0") == 5
        assert 8 < world.metric("pinflow_sink_lag_seconds", partition="0") <= 10
        await world.pass_time(25)
        assert world.metric("pinflow_sink_lag_records", partition="0") == 0
        assert world.metric("pinflow_sink_lag_seconds", partition="0") == 0


async def test_what_cannot_be_read_grows_older_from_one_process_to_the_next(world: World) -> None:
    async with world.sink(flush_max_seconds=1):
        world.post(3)
        await world.pass_time(5)
    world.post(1)
    world.broker.deaf = True
    ages = []
    for _ in range(3):
        running = world.start()
        await world.pass_time(20)
        ages.append(world.metric("pinflow_sink_lag_seconds", partition="0"))
        await running.crash()
    assert ages == sorted(ages)
    assert 60 <= ages[-1] < 70


async def test_a_quiet_partition_has_no_lag(world: World) -> None:
    async with world.sink(flush_max_seconds=1):
        world.post(3)
        await world.pass_time(60)
        assert world.metric("pinflow_sink_lag_seconds", partition="0") == 0
        world.post(1)
        world.broker.deaf = True
        await world.pass_time(10)
        assert 9 <= world.metric("pinflow_sink_lag_seconds", partition="0") <= 12


async def test_only_the_owner_of_a_partition_shows_it(world: World) -> None:
    world.post(10, P0)
    world.post(10, P1)
    async with world.sink():
        await world.pass_time(6)
    for key in list(world.store.objects):
        del world.store.objects[key]
    async with world.sink():
        await world.pass_time(70)
        first = world.registry
        assert shown_by(first) == {"lag_records": ["0", "1"], "partition_stopped": ["0", "1"]}
        async with world.sink():
            await world.pass_time(70)
            both = [shown_by(first), shown_by(world.registry)]
            for name in ("lag_records", "partition_stopped"):
                assert sorted(each[name] for each in both) == [["0"], ["1"]]


def shown_by(registry: CollectorRegistry) -> dict[str, list[str]]:
    """Return the partitions that a sink shows, by metric."""
    found: dict[str, list[str]] = {"lag_records": [], "partition_stopped": []}
    for family in registry.collect():
        for sample in family.samples:
            if (name := sample.name.removeprefix("pinflow_sink_")) in found:
                found[name].append(sample.labels["partition"])
    return {name: sorted(partitions) for name, partitions in found.items()}


async def test_mutant_topic_id_not_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unasked(_: Sink, polled: Mapping[TopicPartition, Sequence[Record]]) -> object:
        return polled

    monkeypatch.setattr(Sink, "_of_their_logs", unasked)
    with pytest.raises(AssertionError):
        await test_a_topic_created_again_is_archived_beside_the_old_one(world, running=True, refilled=9)


async def test_mutant_condition_header_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def overwriting(
        store: InMemoryObjectStore, key: str, body: bytes, metadata: Mapping[str, str]
    ) -> bool:
        store.objects[key] = StoredObject(body, metadata)
        return True

    monkeypatch.setattr(InMemoryObjectStore, "put_if_absent", overwriting)
    with pytest.raises(AssertionError):
        await test_an_object_stored_by_another_member_is_adopted(world)
