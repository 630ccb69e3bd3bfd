"""The service's loop: poll, hand records to their chains, seal what is due, keep within the budget."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from aiokafka import TopicPartition
from service_runtime.broker import BrokerUnavailable, GroupConsumer
from service_runtime.clock import Clock
from service_runtime.patience import until_answered
from service_runtime.readiness import Dependency, Readiness

from s3_sink.chain import Chain
from s3_sink.metrics import SinkMetrics
from s3_sink.settings import SinkSettings
from s3_sink.store import Archive

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.2
RETRY_SECONDS = 1.0
OBSERVE_SECONDS = 2.0

ChainFactory = Callable[[TopicPartition, Dependency], Chain]


class ConsumerStalled(Exception):  # noqa: N818 (a state of the consumer)
    """There is a backlog and nothing arrives: only a new process helps."""


class Sink:
    """Owns the group membership and the chains of the partitions assigned to it."""

    def __init__(
        self,
        consumer: GroupConsumer,
        archive: Archive,
        make_chain: ChainFactory,
        settings: SinkSettings,
        readiness: Readiness,
        clock: Clock,
        metrics: SinkMetrics,
    ) -> None:
        self.chains: dict[TopicPartition, Chain] = {}
        self._consumer = consumer
        self._archive = archive
        self._make_chain = make_chain
        self._settings = settings
        self._readiness = readiness
        self._kafka = readiness.dependency("kafka")
        self._clock = clock
        self._metrics = metrics
        self._may_poll = True
        if not self.chains:
            self._kafka.up()  # no chain's lag is measured, which would say so

    async def run(self, stop: asyncio.Event) -> None:
        """Archive until `stop`, then store what is buffered and leave the group."""
        working = [asyncio.create_task(self._archive_records()), asyncio.create_task(self._observe())]
        stopping = asyncio.create_task(stop.wait())
        try:
            ended, _ = await asyncio.wait({*working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
            # Cancelled, not asked: the loop may be waiting for a broker that does not come back.
            await _cancel(working)
            await self._drain()
        finally:
            await _cancel([*working, stopping])
            self.revoked(frozenset(self.chains))
            await self._consumer.stop()

    async def _archive_records(self) -> None:
        await self._join()
        while True:
            await self._turn()

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Start a chain for each partition."""
        log.info("partitions assigned", partitions=sorted(p.partition for p in partitions))
        for partition in partitions:
            self.chains[partition] = self._make_chain(partition, self._readiness.dependency(_name(partition)))

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Drop the chains: what they hold is read again by the next owner."""
        for partition in partitions & self.chains.keys():
            self.chains.pop(partition).worker.cancel()
            self._readiness.forget(_name(partition))
            self._metrics.forget(partition.partition)

    async def _join(self) -> None:
        await until_answered(
            lambda: self._consumer.start(self), BrokerUnavailable, self._clock, self._kafka.down
        )
        self._kafka.up()

    async def _turn(self) -> None:
        buffered = sum(chain.buffered_bytes for chain in self.chains.values())
        self._metrics.buffered_bytes.set(buffered)
        full = buffered >= self._settings.buffer_max_bytes
        for chain in self.chains.values():
            if chain.worker.done():
                chain.worker.result()  # a worker ends only by a bug of ours: it must end the process
            if full:
                chain.seal()
            chain.steer(hold=full)
        try:
            polled = await self._consumer.poll(POLL_SECONDS)
        except BrokerUnavailable as error:
            self._kafka.down(str(error))
            self._may_poll = False
            await self._clock.sleep(RETRY_SECONDS)
            return
        self._may_poll = True
        if not self.chains:
            self._kafka.up()  # no chain's lag is measured, which would say so
        for partition, records in polled.items():
            if partition in self.chains:
                await self.chains[partition].take(records)
        for chain in self.chains.values():
            chain.seal_if_due()

    async def _drain(self) -> None:
        for chain in self.chains.values():
            chain.seal()
        deadline = self._clock.monotonic() + self._settings.drain_seconds
        while self._clock.monotonic() < deadline:
            if all(chain.is_stored for chain in self.chains.values()):
                return
            await self._clock.sleep(POLL_SECONDS / 4)
        log.warning("stopping with objects unstored; the next run reads their records again")

    async def _observe(self) -> None:
        """Measure lag and probe both neighbours, so that silence is never taken for health."""
        while True:
            await self._clock.sleep(OBSERVE_SECONDS)
            await self._archive.probe()
            for chain in list(self.chains.values()):
                try:
                    _, end = await self._consumer.log_range(chain.partition)
                except BrokerUnavailable as error:
                    self._kafka.down(str(error))
                else:
                    # Who answers a question may still refuse to be read.
                    if self._may_poll:
                        self._kafka.up()
                    if self.chains.get(chain.partition) is chain:
                        self._measure(chain, end)

    def _measure(self, chain: Chain, log_end: int) -> None:
        label, now = str(chain.partition.partition), self._clock.now()
        waiting = max(0, log_end - chain.archived_to)
        if not waiting:
            chain.fresh_until = now
        # Also of what could not be read: a partition that delivers nothing is not one without pins.
        oldest = chain.oldest_timestamp
        since = chain.fresh_until if oldest is None else oldest / 1000
        self._metrics.lag_records.labels(label).set(waiting)
        self._metrics.lag_seconds.labels(label).set(max(0.0, now - since) if waiting else 0)
        if not chain.is_reading or (chain.next_offset or 0) >= log_end:
            # Silence counts only while there is something to hear.
            chain.read_at = self._clock.monotonic()
        silent = self._clock.monotonic() - chain.read_at
        if silent > self._settings.stall_seconds:
            raise ConsumerStalled(
                f"{chain.partition} has records up to {log_end - 1}, "
                f"but nothing after {chain.next_offset} came for {silent:.0f} s"
            )


async def _cancel(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}-{partition.partition}"
