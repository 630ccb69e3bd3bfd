"""Random faults: sinks come, die and hang, stores go away, and every offset is archived once."""

import os
import random
from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition
from pin_schema.archive import ArchivedRecord
from s3_sink.lag import ConsumerStalledError
from s3_sink.testing import P0, P1, RunningSink, World, a_pin
from service_runtime.testing.broker import StoredRecord

pytestmark = pytest.mark.must(7, 8, 9)

SEEDS = 1000 if os.environ.get("PINFLOW_LONG") else 80
STEPS = 60
MAX_SINKS = 3


class RandomFaults:
    """One seeded run: at every step something is posted, starts, dies, slows down or heals."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.world = World()
        self.sinks: list[RunningSink] = []
        self.happened: Counter[str] = Counter()
        self.posted = 0
        self.logs: list[str] = []
        self.ever: defaultdict[tuple[str, TopicPartition, int], set[bytes]] = defaultdict(set)

    async def step(self) -> None:
        calm, rough = (
            [self.post] * 4 + [self.start, self.heal],
            [self.crash, self.stop, self.hang, self.slow, self.fault, self.elect, self.recreate, self.damage],
        )
        event = self.dice.choice([*calm, *rough])
        self.happened[event.__name__] += 1
        await event()
        await self.world.pass_time(self.dice.choice([0.1, 0.3, 1, 2]))
        for sink in [sink for sink in self.sinks if sink.task.done()]:
            self.sinks.remove(sink)
            assert isinstance(sink.task.exception(), ConsumerStalledError)

    async def post(self) -> None:
        self._post(self.dice.randrange(30), self.dice.choice([P0, P1]))

    def _post(self, count: int, partition: TopicPartition) -> None:
        """Append pins of which no two are equal: a record that is taken for another one shows."""
        for _ in range(count):
            self.posted += 1
            offset = self.world.broker.append(partition, a_pin(self.posted))
            self.ever[self.world.log, partition, offset].add(a_pin(self.posted))

    async def start(self) -> None:
        if len(self.sinks) < MAX_SINKS:
            size = self.dice.choice([1024, 4096, 10**6])
            self.sinks.append(self.world.start(flush_max_seconds=1, flush_max_bytes=size))

    async def crash(self) -> None:
        """A write on its way may still arrive, as a zombie's does."""
        if self.sinks:
            await self.sinks.pop(self.dice.randrange(len(self.sinks))).crash()

    async def stop(self) -> None:
        if self.sinks:
            await self.sinks.pop(self.dice.randrange(len(self.sinks))).stop()

    async def hang(self) -> None:
        """A sink that was suspended goes on with what it holds, beside the one that took over."""
        if self.sinks:
            zombie = self.dice.choice(self.sinks)
            hung = zombie.become_a_zombie()
            await self.world.pass_time(self.dice.choice([0.5, 2, 5]))
            if hung and not zombie.task.done():
                zombie.notice()

    async def elect(self) -> None:
        """A new leader, which may not have had what is read and not archived yet."""
        partition = self.dice.choice([P0, P1])
        end = len(self.world.broker.log(partition))
        if self.world.store.in_flight or self.dice.random() < 0.5:
            self.world.broker.elect(partition)
        else:
            self.happened["truncate"] += 1
            archived_to = self.world.archived_to(partition)
            self.world.broker.truncate(partition, self.dice.randint(archived_to, end))
            self._post(end + 3, partition)

    async def recreate(self) -> None:
        """Delete the topic and create it again, and fill it at once, perhaps beyond what was read."""
        self.logs.append(self.world.log)
        self.world.broker.recreate_topic("pins")
        for partition in (P0, P1):
            self._post(self.dice.choice([0, 5, 200]), partition)

    async def damage(self) -> None:
        """What cannot be decoded stays so until the leader's disk is sound again."""
        partition = self.dice.choice([P0, P1])
        self.posted += 1
        offset = self.world.broker.append_undecodable(partition, a_pin(self.posted))
        self.ever[self.world.log, partition, offset].add(a_pin(self.posted))

    async def slow(self) -> None:
        self.world.store.latency = self.dice.choice([0, 0.5, 3])
        self.world.broker.latency = self.dice.choice([0, 0.3, 1])

    async def fault(self) -> None:
        self.world.store.lose_answers = self.dice.randrange(4)
        self.world.store.away = self.dice.random() < 0.3
        self.world.broker.away = self.dice.random() < 0.2

    async def heal(self) -> None:
        self.world.store.away = self.world.broker.away = False
        self.world.store.latency = self.world.broker.latency = 0.0
        for partition in (P0, P1):
            self.world.broker.repair(partition)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_every_offset_is_archived_once_under_random_faults(seed: int) -> None:
    faults = RandomFaults(seed)
    try:
        await run(faults)
    finally:
        await faults.world.close()


async def run(faults: RandomFaults) -> None:
    await faults.start()
    await faults.start()
    for _ in range(STEPS):
        await faults.step()
    await faults.heal()
    for sink in faults.sinks:
        await sink.crash()
    async with faults.world.sink(flush_max_seconds=1):
        await faults.world.pass_time(20)
        assert set(faults.world.ready().values()) == {"up"}
    world = faults.world
    for partition in (P0, P1):
        assert values(world.archived(partition)) == values(world.broker.log(partition))
        versions = []
        for log in faults.logs:
            archived = world.archived(partition, log)
            assert [record.offset for record in archived] == list(range(len(archived)))
            assert all(r.value in faults.ever[log, partition, r.offset] for r in archived), (
                "of this log alone"
            )
            versions += [record.version or 0 for record in archived]
        versions += [record.version or 0 for record in world.archived(partition)]
        assert versions == sorted(set(versions)), "versions grow from log to log"
    assert faults.happened["crash"] + faults.happened["stop"] > 0


def values(records: Sequence[ArchivedRecord | StoredRecord]) -> list[tuple[int, bytes | None]]:
    return [(record.offset, record.value) for record in records]
