"""One partition's chain of objects, each starting where the last one ended.

Two sides share it. The sink's loop reads: it steers the consumer, hands records in and seals objects that
are due. The chain's own worker stores: it finds where to go on, stores sealed objects in order, and adopts
what another member stored first. Only the loop ever moves the consumer, so that records in hand always
belong to the position the chain believes in.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog
from aiokafka import TopicPartition
from pin_schema.archive import ObjectMetadata
from service_runtime.broker import BrokerUnavailable, GroupConsumer, Record
from service_runtime.clock import Clock
from service_runtime.patience import until_answered
from service_runtime.readiness import Dependency

from s3_sink.batch import OpenObject, SealedObject
from s3_sink.continuity import continuing
from s3_sink.dead_letters import DeadLetters
from s3_sink.metrics import SinkMetrics
from s3_sink.resume import Proof, ResumePoint, resume_point
from s3_sink.settings import SinkSettings
from s3_sink.stops import ChainStop, TopicRecreated
from s3_sink.store import Archive

log = structlog.get_logger(__name__)

MAX_SEALED = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What a chain reads from and writes to, shared by all chains of the process."""

    consumer: GroupConsumer
    archive: Archive
    dead_letters: DeadLetters


class Chain:
    """A partition this member owns, from its assignment to its revocation."""

    def __init__(
        self,
        partition: TopicPartition,
        neighbours: Neighbours,
        settings: SinkSettings,
        state: Dependency,
        clock: Clock,
        metrics: SinkMetrics,
    ) -> None:
        self.partition = partition
        self.next_offset: int | None = None
        self.archived_to = 0
        # Seconds since the epoch: what is not archived came after that, as far as is known.
        self.fresh_until = clock.now()
        self.read_at = clock.monotonic()
        self._consumer = neighbours.consumer
        self._archive = neighbours.archive
        self._dead_letters = neighbours.dead_letters
        self._settings = settings
        self._state = state
        self._clock = clock
        self._metrics = metrics
        self._seek: ResumePoint | None = None
        self._proof: Proof | None = None
        self._open: OpenObject | None = None
        self._sealed: deque[SealedObject] = deque()
        self._something_sealed = asyncio.Event()
        self._paused = True
        self._stopped = False
        self._state.down("finding where the archive ends")
        self.worker = asyncio.create_task(self._work(), name=f"chain-{partition.partition}")

    # The reading side, called by the sink's loop.

    @property
    def is_reading(self) -> bool:
        """Whether records are expected: positioned, not paused, not stopped."""
        return self.next_offset is not None and not self._paused

    @property
    def is_stored(self) -> bool:
        """Whether everything handed in is in the bucket."""
        return self._open is None and not self._sealed

    @property
    def buffered_bytes(self) -> int:
        """Memory held by objects not yet stored."""
        opened = self._open.buffered_bytes if self._open else 0
        return opened + sum(len(sealed.body) for sealed in self._sealed)

    @property
    def oldest_timestamp(self) -> int | None:
        """Time (ms) of the oldest record handed in but not stored."""
        if self._sealed:
            return self._sealed[0].metadata.first_ts
        return self._open.first.timestamp if self._open else None

    def steer(self, *, hold: bool) -> None:
        """Apply what the worker has found out; stop reading on `hold` or when storing lags behind."""
        if self._seek is not None:
            point, self._seek = self._seek, None
            self.next_offset, self._proof, self._open = point.offset, point.proof, None
            self._consumer.seek(self.partition, point.read_from)
            self.read_at = self._clock.monotonic()
        pause = hold or self.next_offset is None or len(self._sealed) >= MAX_SEALED
        if pause and not self._paused:
            self._consumer.pause(self.partition)
        if self._paused and not pause:
            self._consumer.resume(self.partition)
            self.read_at = self._clock.monotonic()
        self._paused = pause

    async def take(self, records: Sequence[Record]) -> None:
        """Append records that follow the last one; when they do not follow, stop by name."""
        if self.next_offset is None:
            return  # what was read before an adoption belongs to no position any more
        self.read_at = self._clock.monotonic()
        if self._proof is not None or records[0].offset != self.next_offset:
            log_start, _ = await self._log_range()
            if self.next_offset is None:
                return  # the worker has adopted meanwhile
            proof, self._proof = self._proof, None
            try:
                records = continuing(records, self.next_offset, proof, log_start)
            except ChainStop as stop:
                self._halt(stop)
                return
        self._append(records)

    def _append(self, records: Sequence[Record]) -> None:
        for record in records:
            if self._open is not None and not self._open.takes(record):
                self.seal()
            if self._open is None:
                now, level = self._clock.monotonic(), self._settings.compression_level
                self._open = OpenObject(self.partition.partition, record, now, level)
            self._open.append(record)
            if self._open.line_bytes >= self._settings.flush_max_bytes:
                self.seal()
            self.next_offset = record.offset + 1
        if self._open is not None:
            self._open.compress()

    def seal_if_due(self) -> None:
        """Seal the open object when it is old enough."""
        if self._open and self._clock.monotonic() - self._open.opened_at >= self._settings.flush_max_seconds:
            self.seal()

    def seal(self) -> None:
        """Hand the open object to the worker."""
        if self._open is not None:
            self._sealed.append(self._open.seal())
            self._open = None
            self._something_sealed.set()

    # The storing side, run by the worker.

    async def _work(self) -> None:
        try:
            await self._resume(await self._archive.newest(self.partition.partition), await self._committed())
            while True:
                await self._something_sealed.wait()
                if self._sealed:
                    await self._store(self._sealed[0])
                else:
                    self._something_sealed.clear()
        except ChainStop as stop:
            self._drop()
            self._halt(stop)

    async def _resume(self, newest: ObjectMetadata | None, committed: int | None) -> None:
        start, end = await self._log_range()
        if self._stopped:
            return
        if newest is not None:
            self.fresh_until = newest.last_ts / 1000
        self._seek = resume_point(newest, committed, start, end)
        self.archived_to = self._seek.offset
        log.info("archiving goes on", partition=self.partition.partition, offset=self._seek.offset)
        self._state.up()

    async def _committed(self) -> int | None:
        return await self._ask_kafka(lambda: self._consumer.committed(self.partition))

    async def _log_range(self) -> tuple[int, int]:
        return await self._ask_kafka(lambda: self._consumer.log_range(self.partition))

    async def _ask_kafka(self, ask: Callable[[], Awaitable[T]]) -> T:
        return await until_answered(ask, BrokerUnavailable, self._clock, self._note_waiting)

    def _note_waiting(self, why: str) -> None:
        log.warning("waiting for Kafka", partition=self.partition.partition, why=why)

    async def _store(self, sealed: SealedObject) -> None:
        # Dead letters first: once the object stands, nobody reads these records again.
        await self._dead_letters.publish(self.partition, sealed.dead_letters)
        with self._metrics.store_seconds.time():
            standing = await self._archive.store(sealed)
        if standing.sha256 == sealed.metadata.sha256:
            self._stored(sealed)
        else:
            await self._adopt(standing, sealed)
        await self._commit()

    def _stored(self, sealed: SealedObject) -> None:
        self._sealed.popleft()
        self.archived_to = sealed.metadata.end + 1
        self.fresh_until = sealed.metadata.last_ts / 1000
        self._metrics.objects.labels("stored").inc()
        self._metrics.records.inc(sealed.metadata.count)
        self._metrics.object_bytes.inc(len(sealed.body))

    async def _adopt(self, standing: ObjectMetadata, sealed: SealedObject) -> None:
        """Go on behind an object another member stored at our key; what we hold is read again."""
        if standing.first_ts != sealed.metadata.first_ts:
            raise TopicRecreated(
                f"{sealed.key} was stored by another: its first record is of {standing.first_ts} ms, "
                f"ours of {sealed.metadata.first_ts} ms"
            )
        log.warning("adopting an object of another member", key=str(sealed.key), end=standing.end)
        self._metrics.objects.labels("adopted").inc()
        # At once, before anything is awaited: the loop must not seal what belongs to the old position.
        self._drop()
        await self._resume(standing, None)

    def _drop(self) -> None:
        self.next_offset, self._open = None, None
        self._sealed.clear()

    async def _commit(self) -> None:
        try:
            await self._consumer.commit(self.partition, self.archived_to)
        except BrokerUnavailable as error:
            log.info("the commit must wait for the next one", partition=self.partition, why=str(error))

    def _halt(self, stop: ChainStop) -> None:
        """Leave this partition to a person; the others go on."""
        log.error("archiving of a partition has stopped", partition=self.partition, why=str(stop))
        self._metrics.stopped.labels(self.partition.partition, stop.reason).set(1)
        self._state.down(str(stop))
        self._stopped = True
        self.next_offset = None
