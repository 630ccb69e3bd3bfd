"""One partition of one log: its objects, each starting where the last one ended.

Two sides share it. The sink's loop reads: it applies positions to the consumer, hands records in and seals
objects that are due. The archiver's own worker stores: it finds where to go on, stores sealed objects in
order, and adopts what another member stored first. Only the loop ever moves the consumer, so that records in
hand always belong to the position that the archiver believes in.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog
from aiokafka import TopicPartition
from pin_schema.archive import ObjectMetadata
from pin_schema.versions import Versions
from service_runtime.broker import BrokerUnavailable, GroupConsumer, LogIdentity, Record, UnknownTopic
from service_runtime.clock import Clock
from service_runtime.patience import until_answered
from service_runtime.readiness import Dependency

from s3_sink.archive import Archive
from s3_sink.dead_letters import DeadLetters
from s3_sink.metrics import SinkMetrics
from s3_sink.open_object import Filler, OpenObject, SealedObject, Source
from s3_sink.placing import Place, Placing, Question
from s3_sink.resume import Bookmark, LogRange, ResumePoint, behind, following
from s3_sink.settings import SinkSettings
from s3_sink.stops import LogTruncated, PartitionStop

log = structlog.get_logger(__name__)

MAX_SEALED = 2
# A stop is believed when it is still there after this long, and asked again every so often.
RECHECK_SECONDS = 60.0

T = TypeVar("T")


class LeaderChanged(Exception):  # noqa: N818 (a turn of events)
    """The log of a new leader may have another tail than what was read."""


class InThread(Protocol):
    """Runs a function beside the event loop, as `asyncio.to_thread` does."""

    async def __call__(self, function: Callable[..., T], /, *arguments: Any) -> T:
        """Return what the function returns."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What an archiver reads from, writes to and works with; shared by all of the process."""

    consumer: GroupConsumer
    archive: Archive
    dead_letters: DeadLetters
    clock: Clock
    in_thread: InThread


class PartitionArchiver:
    """A partition that this member owns, from its assignment until it is revoked or another log."""

    def __init__(
        self,
        partition: TopicPartition,
        dependencies: Dependencies,
        settings: SinkSettings,
        state: Dependency,
        metrics: SinkMetrics,
    ) -> None:
        self.partition = partition
        self.identity: LogIdentity | None = None
        self.next_offset: int | None = None
        # Everything before it is handed in: records, and what a transaction leaves between them.
        self.read_to = 0
        self.archived_to: int | None = None
        # Seconds since the epoch: what is not archived came after that, as far as is known.
        self.fresh_until = dependencies.clock.now()
        self.read_at = dependencies.clock.monotonic()
        self._consumer = dependencies.consumer
        self._archive = dependencies.archive
        self._dead_letters = dependencies.dead_letters
        self._clock = dependencies.clock
        self._in_thread = dependencies.in_thread
        self._placing = Placing(dependencies.archive, settings.archive_expire_days)
        self._settings = settings
        self._state = state
        self._metrics = metrics
        self._to_apply: Place | None = None
        self._point: ResumePoint | None = None
        self._filler: Filler | None = None
        self._open: OpenObject | None = None
        self._filling = asyncio.Lock()
        self._sealed: deque[SealedObject] = deque()
        self._something_to_do = asyncio.Event()
        # What the reading side ran into, until all that was read before is stored.
        self._found: PartitionStop | None = None
        self._stop: PartitionStop | None = None
        self._joins_format_1 = False
        self._may_join_format_1 = True
        self._is_retiring = False
        self._paused = True
        self._state.down("finding where the archive ends")
        self.worker = asyncio.create_task(self._work(), name=f"archive-{partition.partition}")

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
    def held_bytes(self) -> int:
        """Memory held by objects not yet stored."""
        opened = self._open.held_bytes if self._open else 0
        return opened + sum(sealed.held_bytes for sealed in self._sealed)

    @property
    def oldest_timestamp(self) -> int | None:
        """Time (ms) of the oldest record handed in but not stored."""
        if self._sealed:
            return self._sealed[0].metadata.first_ts
        return self._open.first_timestamp if self._open else None

    def apply_position(self, *, hold: bool) -> None:
        """Read where the worker says; stop reading on `hold` or when storing lags behind."""
        if self._to_apply is not None:
            place, self._to_apply = self._to_apply, None
            self._point, self.next_offset = place.point, place.point.offset
            self.read_again()
        pause = hold or self.next_offset is None or len(self._sealed) >= MAX_SEALED
        if pause and not self._paused:
            self._consumer.pause(self.partition)
        if self._paused and not pause:
            self._consumer.resume(self.partition)
            self.read_at = self._clock.monotonic()
        self._paused = pause

    def read_again(self) -> None:
        """Seek to the next offset: nothing of what was polled since has been appended."""
        if self.next_offset is not None:
            self._consumer.seek(self.partition, self._point.read_from if self._point else self.next_offset)
            self.read_at = self._clock.monotonic()

    async def append(self, records: Sequence[Record]) -> None:
        """Append records that are known to be of this log; when they do not follow the last one, halt."""
        self.read_at = self._clock.monotonic()
        if self._point is not None or records[0].offset != self.next_offset:
            records = await self._checked(records)
        if records:
            await _to_its_end(self._fill(records))

    async def _fill(self, records: Sequence[Record]) -> None:
        async with self._filling:
            filler, position = self._filler, self.next_offset
            if filler is None or position is None:
                return  # what was read before an adoption belongs to no position any more
            filled = await self._in_thread(filler.fill, self._open, records, self._clock.monotonic())
            if self._filler is filler and self.next_offset == position:
                self._open, self.next_offset = filled.open, records[-1].offset + 1
                self._hand_over(*filled.sealed)

    async def _checked(self, records: Sequence[Record]) -> Sequence[Record]:
        try:
            log_start, _ = await self._consumer.log_range(self.partition)
        except BrokerUnavailable as error:
            # Asked again with the next poll: the other partitions must not wait for this one's leader.
            self._note_waiting(str(error))
            self.read_again()
            return []
        if self.next_offset is None:
            return []  # the worker has adopted meanwhile
        try:
            records = following(records, self._point or ResumePoint(self.next_offset), log_start)
        except PartitionStop as stop:
            if not self._means_another_log(stop):
                self._note_stop(stop)
            await self.seal()
            self._found, self.next_offset = stop, None
            self._something_to_do.set()
            return []
        self._point = None
        self._lift_stop()
        return records

    async def seal_if_due(self) -> None:
        """Seal the open object when it is old enough."""
        if self._open and self._clock.monotonic() - self._open.opened_at >= self._settings.flush_max_seconds:
            await self.seal()

    async def seal(self) -> None:
        """Hand the open object to the worker."""
        await _to_its_end(self._seal())

    async def _seal(self) -> None:
        async with self._filling:
            if (opened := self._open) is not None:
                sealed = await self._in_thread(opened.seal)
                if self._open is opened:
                    self._open = None
                    self._hand_over(sealed)

    def _hand_over(self, *sealed: SealedObject) -> None:
        if sealed:
            self._sealed.extend(sealed)
            self._something_to_do.set()

    async def retire(self) -> None:
        """Read no more, and end when all that was read is stored: the topic holds another log now."""
        self._consumer.pause(self.partition)
        await self.seal()
        self.next_offset, self._is_retiring = None, True
        if self.is_stored:
            self.worker.cancel()
        self._something_to_do.set()

    # The storing side, run by the worker.

    async def _work(self) -> None:
        while True:
            try:
                await self._resume()
                await self._store_what_is_sealed()
            except LeaderChanged:
                log.info("the leader has changed: the last archived record is compared")
                self._drop()
            except PartitionStop as stop:
                self._drop()
                if self._is_retiring:
                    log.exception("an object of a log that is gone is not stored")
                elif self._means_another_log(stop):
                    self._may_join_format_1 = False
                else:
                    if stop is not self._stop:
                        self._note_stop(stop)
                    await self._clock.sleep(RECHECK_SECONDS)
            if self._is_retiring:
                return

    async def _store_what_is_sealed(self) -> None:
        """Store until the archiver retires; raises what the reading side ran into, once all is stored."""
        while True:
            await self._something_to_do.wait()
            self._something_to_do.clear()
            while self._sealed:
                await self._store(self._sealed[0])
            if self._found is not None:
                found, self._found = self._found, None
                raise found
            if self._is_retiring:
                return

    async def _resume(self) -> None:
        """Find where to go on; raises PartitionStop."""
        asked = await self._question()
        self.identity = asked.identity
        if (bookmark := asked.bookmark) is not None:
            self.archived_to, self.fresh_until = bookmark.offset, bookmark.last_ts / 1000
        place = await self._placing.place(asked, self._clock.now(), format_1=self._may_join_format_1)
        self._joins_format_1 = place.joins_format_1
        self._go_on(place)

    async def _question(self) -> Question:
        identity = await self._ask_kafka(self._ask_identity)
        commit = await self._ask_kafka(lambda: self._consumer.committed(self.partition))
        return Question(self.partition.partition, identity, await self._log_range(), commit)

    def _go_on(self, place: Place) -> None:
        assert self.identity is not None  # noqa: S101 (asked before)
        source = Source(self.identity.topic_id, self.partition.partition, place.versions)
        limits = self._settings.flush_max_bytes, self._settings.compression_level
        self._filler = Filler(source, *limits)
        self._to_apply, self.archived_to = place, place.point.offset
        if place.last_ts is not None:
            self.fresh_until = place.last_ts / 1000
        log.info("archiving goes on", partition=self.partition.partition, offset=place.point.offset)
        if place.point.last_record is None:
            self._lift_stop()
        if self._stop is None:
            self._state.up()

    async def _ask_identity(self) -> LogIdentity:
        return (await self._consumer.log_identities([self.partition]))[self.partition]

    async def _log_range(self) -> LogRange:
        return LogRange(*await self._ask_kafka(lambda: self._consumer.log_range(self.partition)))

    async def _ask_kafka(self, ask: Callable[[], Awaitable[T]]) -> T:
        return await until_answered(ask, BrokerUnavailable, self._clock, self._note_waiting)

    def _note_waiting(self, why: str) -> None:
        log.warning("waiting for Kafka", partition=self.partition.partition, why=why)

    async def _store(self, sealed: SealedObject) -> None:
        if self._joins_format_1:
            await self._archive.own_format_1(sealed.metadata.topic_id)
            self._joins_format_1 = False
        # Dead letters first: once the object stands, nobody reads these records again.
        await self._dead_letters.publish(self.partition, sealed)
        await self._require_same_leader()
        with self._metrics.store_seconds.time():
            standing = await self._archive.store(sealed)
        if standing.sha256 == sealed.metadata.sha256:
            self._note_stored(sealed)
        else:
            await self._adopt(standing, sealed)
        await self._commit(str(sealed.key), standing)

    async def _require_same_leader(self) -> None:
        """Raise LeaderChanged when the log may have lost what was read.

        What was read of a log that is gone is stored as it was.
        """
        now = None if self._is_retiring else await self._ask_kafka(self._identity_unless_gone)
        if now is None or self.identity is None or now.topic_id != self.identity.topic_id:
            return
        if now.leader_epoch != self.identity.leader_epoch:
            raise LeaderChanged

    async def _identity_unless_gone(self) -> LogIdentity | None:
        try:
            return await self._ask_identity()
        except UnknownTopic:
            return None

    def _note_stored(self, sealed: SealedObject) -> None:
        self._sealed.popleft()
        self.archived_to = sealed.metadata.end + 1
        self.fresh_until = sealed.metadata.last_ts / 1000
        self._metrics.objects.labels("stored").inc()
        self._metrics.records.inc(sealed.metadata.count)
        self._metrics.object_bytes.inc(len(sealed.body))

    async def _adopt(self, standing: ObjectMetadata, sealed: SealedObject) -> None:
        """Go on behind an object that another member stored at our key; what we hold is read again."""
        if (standing.topic_id, standing.first_ts) != (sealed.metadata.topic_id, sealed.metadata.first_ts):
            raise LogTruncated(
                f"{sealed.key} was stored by another: its first record is of {standing.first_ts} ms in topic "
                f"{standing.topic_id}, ours of {sealed.metadata.first_ts} ms in {sealed.metadata.topic_id}"
            )
        log.warning("adopting an object of another member", key=str(sealed.key), end=standing.end)
        self._metrics.objects.labels("adopted").inc()
        # At once, before anything is awaited: the loop must not seal what belongs to the old position.
        self._drop()
        log_range = await self._log_range()
        if not self._is_retiring:
            self._go_on(Place(behind(standing, log_range), Versions(standing.lead), standing.last_ts))

    def _drop(self) -> None:
        self.next_offset = self._open = self._filler = self._point = self._found = None
        self._sealed.clear()

    async def _commit(self, key: str, standing: ObjectMetadata) -> None:
        """Commit for those who measure lag, and as a hint for who resumes; never for a log that is gone."""
        bookmark = Bookmark(standing.end + 1, standing.log, key, standing.last_ts, standing.lead)
        try:
            if (await self._ask_identity()).topic_id == standing.topic_id:
                await self._consumer.commit(self.partition, bookmark.offset, bookmark.metadata)
        except BrokerUnavailable as error:
            log.info("the commit must wait for the next one", partition=self.partition, why=str(error))

    def _means_another_log(self, stop: PartitionStop) -> bool:
        """Whether the objects that name no log turn out to be of another one than ours."""
        return isinstance(stop, LogTruncated) and self._joins_format_1

    def _note_stop(self, stop: PartitionStop) -> None:
        """Halt this partition; call it stopped when it was the same a minute ago. The others go on."""
        if self._stop is None:
            log.warning("a partition halts, and asks again", partition=self.partition, why=str(stop))
            self._state.down(f"asking again in {RECHECK_SECONDS:g} s: {stop}")
        else:
            log.error("archiving of a partition has stopped", partition=self.partition, why=str(stop))
            self._state.down(str(stop))
            self._metrics.show_stopped(self.partition.partition, stop.reason)
        self._stop = stop

    def _lift_stop(self) -> None:
        if self._stop is not None:
            log.info("what had stopped a partition is gone", partition=self.partition)
            self._stop = None
            self._metrics.show_stopped(self.partition.partition, None)
            self._state.up()


async def _to_its_end(work: Coroutine[None, None, None]) -> None:
    """Await work that a cancellation must not cut in two: an object half handed over would be lost."""
    await asyncio.shield(asyncio.ensure_future(work))
