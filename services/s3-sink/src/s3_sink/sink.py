"""The service's loop: poll, ask whose records these are, hand them on, seal what is due, keep the budget."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import TopicPartition
from service_runtime.broker import (
    BrokerUnavailable,
    GroupConsumer,
    InstanceNameTaken,
    LogIdentity,
    Record,
    partition_name,
)
from service_runtime.clock import Clock
from service_runtime.patience import until_answered
from service_runtime.readiness import Dependency, Readiness

from s3_sink.archive import Archive
from s3_sink.archiver import PartitionArchiver
from s3_sink.lag import LagMeter
from s3_sink.metrics import SinkMetrics
from s3_sink.settings import SinkSettings

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.2
# Of uncompressed records in hand at once.
POLL_BYTES = 4 * 1024 * 1024
RETRY_SECONDS = 1.0
OBSERVE_SECONDS = 2.0
# What may fail in Kafka while the rest works.
JOIN, READ, IDENTIFY, MEASURE = "join", "read", "ask for the topic's id", "ask for the log's end"

MakeArchiver = Callable[[TopicPartition, Dependency], PartitionArchiver]


class Sink:
    """Owns the group membership and the archivers of the partitions assigned to it."""

    def __init__(
        self,
        consumer: GroupConsumer,
        archive: Archive,
        make_archiver: MakeArchiver,
        settings: SinkSettings,
        readiness: Readiness,
        clock: Clock,
        metrics: SinkMetrics,
    ) -> None:
        self.archivers: dict[TopicPartition, PartitionArchiver] = {}
        # Those of logs that were deleted, until what they have read is stored.
        self._retiring: set[PartitionArchiver] = set()
        self._consumer = consumer
        self._archive = archive
        self._make_archiver = make_archiver
        self._settings = settings
        self._readiness = readiness
        self._kafka = readiness.dependency("kafka")
        self._assignment = readiness.dependency(settings.kafka_topic)
        self._clock = clock
        self._metrics = metrics
        self._joined = asyncio.Event()
        self._identities: dict[TopicPartition, LogIdentity] = {}
        self._lag = LagMeter(settings.stall_seconds, clock, metrics)

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
            self.revoked(frozenset(self.archivers))
            await _cancel(archiver.worker for archiver in self._retiring)
            self._archive.close()
            await self._consumer.stop()

    async def _archive_records(self) -> None:
        await until_answered(
            lambda: self._consumer.start(self),
            BrokerUnavailable,
            self._clock,
            lambda why: self._kafka.down(why, JOIN),
        )
        self._kafka.up(JOIN)
        self._joined.set()
        while True:
            await self._turn()

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Start an archiver for each partition."""
        log.info("partitions assigned", partitions=sorted(p.partition for p in partitions))
        for partition in partitions:
            self._begin(partition)
        self._metrics.show_only({partition.partition for partition in partitions})
        if partitions:
            self._assignment.up()
        else:
            self._assignment.down("no partition is assigned here: other members of the group have them all")

    def _begin(self, partition: TopicPartition) -> None:
        state = self._readiness.dependency(partition_name(partition))
        self.archivers[partition] = self._make_archiver(partition, state)

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Drop the archivers: what they hold is read again by the next owner."""
        for partition in partitions & self.archivers.keys():
            self.archivers.pop(partition).worker.cancel()
            self._readiness.forget(partition_name(partition))

    async def _turn(self) -> None:
        await self._manage_archivers()
        try:
            polled = await self._consumer.poll(POLL_SECONDS, POLL_BYTES)
        except BrokerUnavailable as error:
            self._kafka.down(str(error), READ)
            await self._clock.sleep(RETRY_SECONDS)
            return
        self._kafka.up(READ)
        for partition, records in (await self._of_their_logs(polled)).items():
            if partition in self.archivers:
                await self.archivers[partition].reader.append(records)
        for archiver in list(self.archivers.values()):
            await archiver.reader.after_poll()

    async def _manage_archivers(self) -> None:
        observed, self._identities = self._identities, {}
        for partition, identity in observed.items():
            archiver = self.archivers.get(partition)
            if archiver is not None and archiver.uploader.identity not in {None, identity}:
                await self._replace(archiver, identity)
        held = sum(archiver.reader.held_bytes for archiver in self._all())
        self._metrics.buffered_bytes.set(held)
        full = held >= self._settings.buffer_max_bytes
        for archiver in self._all():
            if archiver.worker.done() and not archiver.worker.cancelled():
                archiver.worker.result()  # a worker fails only by a bug of ours: it must end the process
        self._retiring = {archiver for archiver in self._retiring if not archiver.worker.done()}
        for archiver in list(self.archivers.values()):
            if full:
                await archiver.reader.seal()
            archiver.reader.apply_position(hold=full)

    def _all(self) -> list[PartitionArchiver]:
        return [*self.archivers.values(), *self._retiring]

    async def _of_their_logs(
        self, polled: Mapping[TopicPartition, Sequence[Record]]
    ) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return what is of the log that its archiver reads; the rest is read again.

        The leaders are asked after the records came: who answers with the log's id still had that log when
        it handed them out. No answer, or an unknown topic, proves nothing.
        """
        mine = {partition: records for partition, records in polled.items() if partition in self.archivers}
        if not mine:
            return mine
        try:
            identities = await self._consumer.log_identities(mine.keys())
        except BrokerUnavailable as error:
            self._kafka.down(str(error), IDENTIFY)
            for partition in mine.keys() & self.archivers.keys():
                self.archivers[partition].reader.read_again()
            await self._clock.sleep(RETRY_SECONDS)
            return {}
        self._kafka.up(IDENTIFY)
        for partition in mine.keys() & self.archivers.keys():
            archiver = self.archivers[partition]
            if identities[partition] != archiver.uploader.identity:
                del mine[partition]
                await self._replace(archiver, identities[partition])
        return mine

    async def _replace(self, archiver: PartitionArchiver, now: LogIdentity) -> None:
        """Begin anew with a partition whose log is another one, or may have lost its tail."""
        partition, before = archiver.partition, archiver.uploader.identity
        if before is None:
            return archiver.reader.read_again()
        if now.topic_id == before.topic_id:
            log.info("the leader has changed; the last archived record is compared", partition=partition)
            archiver.worker.cancel()
        else:
            self._note_new_log(archiver, before, now)
            await archiver.retire()
            self._retiring.add(archiver)
        return self._begin(partition)

    def _note_new_log(self, archiver: PartitionArchiver, before: LogIdentity, now: LogIdentity) -> None:
        partition, read_to = archiver.partition, archiver.reader.next_offset
        gone = max(0, self._lag.known_end(partition) - (read_to or 0))
        log.warning(
            "the topic was deleted and created again: its new log is archived beside the old one",
            partition=partition.partition,
            topic_id=str(now.topic_id),
            old_topic_id=str(before.topic_id),
            old_log_read_to=read_to,
            records_gone_at_least=gone,
        )
        self._metrics.logs_replaced.labels(partition.partition).inc()
        self._metrics.gone_with_their_log.labels(partition.partition).inc(gone)

    async def _drain(self) -> None:
        for archiver in list(self.archivers.values()):
            await archiver.reader.seal()
        deadline = self._clock.monotonic() + self._settings.drain_seconds
        while self._clock.monotonic() < deadline:
            if all(archiver.reader.is_stored for archiver in self._all()):
                return
            await self._clock.sleep(POLL_SECONDS / 4)
        log.warning("stopping with objects unstored; the next run reads their records again")

    async def _observe(self) -> None:
        """Measure lag and probe Kafka and S3, so that silence is never taken for health."""
        while True:
            await self._clock.sleep(OBSERVE_SECONDS)
            await self._archive.probe()
            if self._joined.is_set():
                await self._observe_kafka()

    async def _observe_kafka(self) -> None:
        try:
            await self._consumer.check_name()
            archivers = list(self.archivers.values())
            ends = [(await self._consumer.log_range(archiver.partition))[1] for archiver in archivers]
            self._identities = dict(await self._consumer.log_identities(self.archivers.keys()))
        except InstanceNameTaken:
            raise
        except BrokerUnavailable as error:
            return self._kafka.down(str(error), MEASURE)
        for archiver, end in zip(archivers, ends, strict=True):
            # A log's end is known to be its own when its id was asked afterwards.
            if self._identities.get(archiver.partition) == archiver.uploader.identity:
                self._lag.measure(archiver, end)
        return self._kafka.up(MEASURE)


async def _cancel(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    cancelled = list(tasks)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
