"""The storing side of a partition: finds where to go on, stores sealed objects in order, adopts others'.

It runs in a worker of its own, and never moves the consumer: it leaves a place to its reader
(docs/decisions/0006).
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from pin_schema.archive import ObjectMetadata
from pin_schema.versions import Versions
from service_runtime.broker import BrokerUnavailable, LogIdentity, UnknownTopic
from service_runtime.patience import until_answered

from s3_sink.dependencies import Dependencies
from s3_sink.metrics import SinkMetrics
from s3_sink.open_object import Filler, SealedObject, Source
from s3_sink.placing import Place, Placing, Question
from s3_sink.reader import PartitionReader
from s3_sink.resume import Bookmark, LogRange, behind
from s3_sink.settings import SinkSettings
from s3_sink.stop_state import RECHECK_SECONDS, StopState
from s3_sink.stops import LogTruncated, PartitionStop

log = structlog.get_logger(__name__)

T = TypeVar("T")


class LeaderChanged(Exception):  # noqa: N818 (a turn of events)
    """The log of a new leader may have another tail than what was read."""


class PartitionUploader:
    """Stores what its reader has sealed, and finds where it is to go on."""

    def __init__(
        self,
        reader: PartitionReader,
        dependencies: Dependencies,
        settings: SinkSettings,
        stop_state: StopState,
        metrics: SinkMetrics,
    ) -> None:
        self.partition = reader.partition
        self.identity: LogIdentity | None = None
        self.archived_to: int | None = None
        # Seconds since the epoch: what is not archived came after that, as far as is known.
        self.fresh_until = dependencies.clock.now()
        self._reader = reader
        self._consumer = dependencies.consumer
        self._archive = dependencies.archive
        self._dead_letters = dependencies.dead_letters
        self._clock = dependencies.clock
        self._placing = Placing(dependencies.archive, settings.archive_expire_days)
        self._settings = settings
        self._stop_state = stop_state
        self._metrics = metrics
        self._may_join_format_1 = True
        self._is_retiring = False

    async def run(self) -> None:
        """Store until the partition is retired; waits out every stop."""
        while True:
            try:
                await self._resume()
                await self._store_what_is_sealed()
            except LeaderChanged:
                log.info("the leader has changed: the last archived record is compared")
                self._reader.drop()
            except PartitionStop as stop:
                self._reader.drop()
                await self._wait_out(stop)
            if self._is_retiring:
                return

    async def _wait_out(self, stop: PartitionStop) -> None:
        if self._is_retiring:
            log.exception("an object of a log that was deleted is not stored")
        elif self._reader.means_another_log(stop):
            self._may_join_format_1 = False
        else:
            self._stop_state.note(stop)
            await self._clock.sleep(RECHECK_SECONDS)

    def retire(self) -> None:
        """End when all that was read is stored."""
        self._is_retiring = True

    async def _store_what_is_sealed(self) -> None:
        """Store until the partition is retired; raises what the reader halted by, once all is stored."""
        reader = self._reader
        while True:
            await reader.has_news.wait()
            reader.has_news.clear()
            while reader.sealed:
                await self._store(reader.sealed[0])
            if reader.halted_by is not None:
                raise reader.halted_by
            if self._is_retiring:
                return

    async def _resume(self) -> None:
        """Find where to go on; raises PartitionStop."""
        asked = await self._question()
        self.identity = asked.identity
        if (bookmark := asked.bookmark) is not None:
            self.archived_to, self.fresh_until = bookmark.offset, bookmark.last_ts / 1000
        place = await self._placing.place(asked, self._clock.now(), format_1=self._may_join_format_1)
        self._go_on(place)

    async def _question(self) -> Question:
        identity = await self._ask_kafka(self._ask_identity)
        commit = await self._ask_kafka(lambda: self._consumer.committed(self.partition))
        return Question(self.partition.partition, identity, await self._log_range(), commit)

    def _go_on(self, place: Place) -> None:
        assert self.identity is not None  # noqa: S101 (asked before)
        source = Source(self.identity.topic_id, self.partition.partition, place.versions)
        limits = self._settings.flush_max_bytes, self._settings.compression_level
        self._reader.go_on(place, Filler(source, *limits))
        self.archived_to = place.point.offset
        if place.last_ts is not None:
            self.fresh_until = place.last_ts / 1000
        log.info("archiving goes on", partition=self.partition.partition, offset=place.point.offset)
        if place.point.last_record is None:
            self._stop_state.lift(place.point.offset)
        self._stop_state.placed()

    async def _ask_identity(self) -> LogIdentity:
        return (await self._consumer.log_identities([self.partition]))[self.partition]

    async def _log_range(self) -> LogRange:
        return LogRange(*await self._ask_kafka(lambda: self._consumer.log_range(self.partition)))

    async def _ask_kafka(self, ask: Callable[[], Awaitable[T]]) -> T:
        return await until_answered(ask, BrokerUnavailable, self._clock, self._note_waiting)

    def _note_waiting(self, why: str) -> None:
        log.warning("waiting for Kafka", partition=self.partition.partition, why=why)

    async def _store(self, sealed: SealedObject) -> None:
        if self._reader.joins_format_1:
            await self._archive.own_format_1(sealed.metadata.topic_id)
            self._reader.joins_format_1 = False
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

        What was read of a log that was deleted is stored as it was.
        """
        now = None if self._is_retiring else await self._ask_kafka(self._identity_unless_deleted)
        if now is None or self.identity is None or now.topic_id != self.identity.topic_id:
            return
        if now.leader_epoch != self.identity.leader_epoch:
            raise LeaderChanged

    async def _identity_unless_deleted(self) -> LogIdentity | None:
        try:
            return await self._ask_identity()
        except UnknownTopic:
            return None

    def _note_stored(self, sealed: SealedObject) -> None:
        self._reader.sealed.popleft()
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
        self._reader.drop()
        log_range = await self._log_range()
        if not self._is_retiring:
            self._go_on(Place(behind(standing, log_range), Versions(standing.lead), standing.last_ts))

    async def _commit(self, key: str, standing: ObjectMetadata) -> None:
        """Commit for those who measure lag, and as a hint for who resumes; never for a deleted log."""
        bookmark = Bookmark(standing.end + 1, standing.log, key, standing.last_ts, standing.lead)
        try:
            if (await self._ask_identity()).topic_id == standing.topic_id:
                await self._consumer.commit(self.partition, bookmark.offset, bookmark.metadata)
        except BrokerUnavailable as error:
            log.info("the commit must wait for the next one", partition=self.partition, why=str(error))
