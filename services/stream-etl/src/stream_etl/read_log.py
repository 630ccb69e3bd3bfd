"""Which log the queries read: that their checkpoints fit it, and that it stays the same below them."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
from pin_schema.logs import log_name
from service_runtime.broker import BrokerUnavailable, LogIdentity
from service_runtime.clock import Clock
from service_runtime.patience import until_answered
from service_runtime.readiness import Dependency

from stream_etl.checkpoint import Checkpoints, unnamed_checkpoints
from stream_etl.engine import QUERIES
from stream_etl.resume import (
    LogRange,
    Written,
    require_same_batches,
    require_same_log,
    require_same_record,
)
from stream_etl.stops import LogTruncated
from stream_etl.topic import Topic
from stream_etl.writer import Writer

log = structlog.get_logger(__name__)

T = TypeVar("T")


class LogReplaced(Exception):  # noqa: N818 (a turn of events)
    """The topic was deleted and created again: what the queries read now is another log."""


class ReadLog:
    """The log that the queries read. Every method waits for Kafka and PostgreSQL as long as it takes."""

    def __init__(
        self, directory: Path, topic: Topic, writer: Writer, kafka: Dependency, clock: Clock
    ) -> None:
        self.written: Mapping[str, Written] = {}
        self._directory = directory
        self._topic = topic
        self._writer = writer
        self._kafka = kafka
        self._clock = clock
        self._name = ""
        # As each query's last batch found them: a new leader may have another tail.
        self._leaders: dict[str, Mapping[int, LogIdentity]] = {}

    async def claim(self) -> Checkpoints:
        """Return the checkpoints of the log that the topic has now; raises the StreamStop that forbids it."""
        leaders = await self._until_answered(self._topic.identities)
        self._name = _name_of(leaders)
        self._leaders = {query.name: leaders for query in QUERIES}
        checkpoints = Checkpoints(self._directory, self._topic.name, self._name)
        await self._adopt_unnamed(checkpoints)
        checkpoints.claim()
        self.written = await self._require_a_fit(checkpoints)
        return checkpoints

    async def _adopt_unnamed(self, checkpoints: Checkpoints) -> None:
        unnamed = unnamed_checkpoints(self._directory, self._topic.name)
        if not unnamed.are_used or checkpoints.are_used:
            return
        try:
            unnamed.claim()
            await self._require_a_fit(unnamed)
        except LogTruncated as other:
            log.info("a checkpoint of another log is left aside", why=str(other))
        else:
            checkpoints.adopt(unnamed)

    async def _require_a_fit(self, checkpoints: Checkpoints) -> Mapping[str, Written]:
        """How far each query has written; raises the StreamStop that says why it must not go on."""
        found: dict[str, Written] = {}
        for query in QUERIES:
            checkpoint = checkpoints.read(query.name)
            if checkpoint is None:
                continue
            written = found[query.name] = await self._writer.written(checkpoint.query_id)
            require_same_batches(checkpoint, written)
            # Asked for only now: PostgreSQL may have been waited for longer than the topic keeps its records.
            held = await self._until_answered(self._topic.ranges)
            require_same_log(checkpoint, held)
            await self._require_same_records(written, held)
        return found

    async def _require_same_records(self, written: Written, held: Mapping[int, LogRange]) -> None:
        for partition, last in written.positions.items():
            if last.offset >= held[partition].start:
                found = await self._until_answered(partial(self._topic.event_time, partition, last.offset))
                require_same_record(partition, last, found)

    async def is_replaced(self) -> bool:
        """Whether the topic has another log by now; a topic that is not there proves nothing."""
        return _name_of(await self._until_answered(self._topic.identities)) != self._name

    def require_same(self, leaders: Mapping[int, LogIdentity]) -> None:
        """Raise LogReplaced when the leaders serve another log."""
        if (now := _name_of(leaders)) != self._name:
            raise LogReplaced(f"the queries read {self._name}, the topic is {now}")

    async def has_same_leaders(self, query: str, query_id: str) -> bool:
        """Whether what the query has just read is what its log holds: if not, it has to be read again.

        Asked after the records were read: who answers now still had that log when it handed them out. Raises
        LogReplaced, and LogTruncated when the log has lost what the query wrote before.
        """
        leaders = await self._until_answered(self._topic.identities)
        self.require_same(leaders)
        before, self._leaders[query] = self._leaders[query], leaders
        if all(leaders.get(partition) == leader for partition, leader in before.items()):
            return True
        log.warning("a leader has changed: what was read is read again", query=query)
        written = await self._writer.written(query_id)
        await self._require_same_records(written, await self._until_answered(self._topic.ranges))
        return False

    async def _until_answered(self, question: Callable[[], Awaitable[T]]) -> T:
        answer = await until_answered(question, BrokerUnavailable, self._clock, self._kafka.down)
        self._kafka.up()
        return answer


def _name_of(leaders: Mapping[int, LogIdentity]) -> str:
    return log_name(next(iter(leaders.values())).topic_id)
