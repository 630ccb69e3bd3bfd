"""The reading side of a partition: what was polled becomes objects, each starting where the last one ended.

Only the sink's loop calls it, and only the loop moves the consumer: the uploader leaves a place, which is
applied before the next poll, so that records in hand always belong to the position that both sides believe in
(docs/decisions/0006).
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence

import structlog
from aiokafka import TopicPartition
from service_runtime.broker import BrokerUnavailable, Record

from s3_sink.dependencies import Dependencies
from s3_sink.open_object import Filler, OpenObject, SealedObject
from s3_sink.placing import Place
from s3_sink.resume import ResumePoint, following
from s3_sink.stop_state import StopState
from s3_sink.stops import LogTruncated, PartitionStop, UndecodableBatch

log = structlog.get_logger(__name__)

MAX_SEALED = 2


class PartitionReader:
    """Reads one partition of one log, from where the uploader says."""

    def __init__(
        self,
        partition: TopicPartition,
        dependencies: Dependencies,
        flush_max_seconds: float,
        stop_state: StopState,
    ) -> None:
        self.partition = partition
        self.next_offset: int | None = None
        # Everything before it is handed in: records, and what a transaction leaves between them.
        self.read_to = 0
        self.read_at = dependencies.clock.monotonic()
        # For the uploader: objects to store, and why reading has halted behind them.
        self.sealed: deque[SealedObject] = deque()
        self.halted_by: PartitionStop | None = None
        self.has_news = asyncio.Event()
        # Whether the archive before the position names no log, and is not yet known to be of this one.
        self.joins_format_1 = False
        self._consumer = dependencies.consumer
        self._clock = dependencies.clock
        self._in_thread = dependencies.in_thread
        self._flush_max_seconds = flush_max_seconds
        self._stop_state = stop_state
        self._to_apply: Place | None = None
        self._point: ResumePoint | None = None
        self._filler: Filler | None = None
        self._open: OpenObject | None = None
        self._filling = asyncio.Lock()
        self._paused = True

    @property
    def is_reading(self) -> bool:
        """Whether records are expected: positioned, not paused, not stopped."""
        return self.next_offset is not None and not self._paused

    @property
    def is_stored(self) -> bool:
        """Whether everything handed in is in the bucket."""
        return self._open is None and not self.sealed

    @property
    def held_bytes(self) -> int:
        """Memory held by objects not yet stored."""
        opened = self._open.held_bytes if self._open else 0
        return opened + sum(sealed.held_bytes for sealed in self.sealed)

    @property
    def oldest_timestamp(self) -> int | None:
        """Time (ms) of the oldest record handed in but not stored."""
        if self.sealed:
            return self.sealed[0].metadata.first_ts
        return self._open.first_timestamp if self._open else None

    def go_on(self, place: Place, filler: Filler) -> None:
        """Note where the uploader says to go on; the loop applies it."""
        self._to_apply, self._filler = place, filler
        self.joins_format_1 = place.joins_format_1

    def drop(self) -> None:
        """Forget position and records: the uploader looks for the place where the archive ends."""
        self.next_offset = self._open = self._filler = self._point = self._to_apply = self.halted_by = None
        self.sealed.clear()

    def apply_position(self, *, hold: bool) -> None:
        """Read where the uploader says; stop reading on `hold` or when storing lags behind."""
        if self._to_apply is not None:
            place, self._to_apply = self._to_apply, None
            self._point, self.next_offset = place.point, place.point.offset
            self.read_again()
        pause = hold or self.next_offset is None or len(self.sealed) >= MAX_SEALED
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
                self._stop_state.lift(self.next_offset)
                self._hand_over(*filled.sealed)

    async def _checked(self, records: Sequence[Record]) -> Sequence[Record]:
        try:
            log_start, _ = await self._consumer.log_range(self.partition)
        except BrokerUnavailable as error:
            # Asked again with the next poll: the other partitions must not wait for this one's leader.
            log.warning("waiting for Kafka", partition=self.partition.partition, why=str(error))
            self.read_again()
            return []
        if self.next_offset is None:
            return []  # the uploader has adopted meanwhile
        try:
            records = following(records, self._point or ResumePoint(self.next_offset), log_start)
        except PartitionStop as stop:
            await self._halt(stop)
            return []
        self._point = None
        self._stop_state.lift(self.next_offset)
        return records

    async def after_poll(self) -> None:
        """Note how far the consumer has come; halt at what it cannot decode; seal what is old enough."""
        self.read_to = self._consumer.position(self.partition) or 0
        why = self._consumer.undecodable(self.partition)
        if why is not None and self.next_offset is not None:
            await self._halt(UndecodableBatch(self.read_to, why))
        if self._open and self._clock.monotonic() - self._open.opened_at >= self._flush_max_seconds:
            await self.seal()

    async def _halt(self, stop: PartitionStop) -> None:
        """Read no more; the uploader raises the stop when all that was read before is stored."""
        if not self.means_another_log(stop):
            self._stop_state.note(stop)
        filler = self._filler
        await self.seal()
        if self._filler is filler:  # else the uploader has adopted meanwhile, and reading begins anew
            self.halted_by, self.next_offset = stop, None
            self.has_news.set()

    def means_another_log(self, stop: PartitionStop) -> bool:
        """Whether the objects that name no log turn out to be of another one than ours."""
        return isinstance(stop, LogTruncated) and self.joins_format_1

    async def seal(self) -> None:
        """Hand the open object to the uploader."""
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
            self.sealed.extend(sealed)
            self.has_news.set()

    async def end(self) -> None:
        """Read no more, for good: what was read is left to the uploader."""
        self._consumer.pause(self.partition)
        await self.seal()
        self.next_offset = None
        self.has_news.set()


async def _to_its_end(work: Coroutine[None, None, None]) -> None:
    """Await work that a cancellation must not cut in two: an object half handed over would be lost."""
    await asyncio.shield(asyncio.ensure_future(work))
