"""One partition's way into Kafka: pins queue, batches leave one at a time, acks become receipts."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice

import msgspec
from aiokafka import TopicPartition
from pin_schema.logs import log_name
from pin_schema.wire import SCHEMA_HEADER
from service_runtime.broker import Ack, Batch, BatchProducer, BatchRefused, BrokerUnavailable

from ingest_api.metrics import IngestMetrics
from ingest_api.validation import ValidPin

_HEADERS = [SCHEMA_HEADER]
# Weight of the newest batch in the moving average of the ack rate.
_RATE_WEIGHT = 0.2


class Receipt(msgspec.Struct, frozen=True):
    """Where a pin is: all in-sync replicas hold it there.

    `log` is short for the topic's id, another one once the topic was created again. `timestamp` is the
    broker's append time in ms.
    """

    topic: str
    log: str
    partition: int
    offset: int
    timestamp: int


class RefusedByKafka(msgspec.Struct, frozen=True):
    """Why Kafka will never store a pin."""

    why: str
    too_large: bool


Outcome = Receipt | RefusedByKafka | None
"""Of one pin; None: not known, or not sent."""


@dataclass(slots=True)
class PendingPins:
    """The pins of one request that go to one partition, with what became of them so far."""

    partition: int
    positions: list[int] = field(default_factory=list)
    pins: list[ValidPin] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    packed: int = 0
    abandoned: bool = False
    done: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def add(self, position: int, pin: ValidPin) -> None:
        """Add the pin that stands at `position` of the request."""
        self.positions.append(position)
        self.pins.append(pin)

    def settle(self, outcomes: Iterable[Outcome]) -> None:
        """Note what became of the next pins."""
        self.outcomes.extend(outcomes)
        expected = self.packed if self.abandoned else len(self.pins)
        if not self.done.done() and len(self.outcomes) == expected:
            self.done.set_result(None)

    def abandon(self) -> str | None:
        """Stop waiting; what is not packed yet is never sent. Return why pins lack an outcome, if any do."""
        if self.done.done():
            error = self.done.exception()
            return None if error is None else str(error)
        self.abandoned = True
        if self.packed == len(self.outcomes):
            self.done.set_result(None)
            return f"partition {self.partition} is busy: pins without a receipt were not sent"
        return f"partition {self.partition} did not acknowledge in time: pins without a receipt may be stored"

    def fail(self, error: BrokerUnavailable) -> None:
        """End the wait with an error, unless it has ended."""
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(frozen=True, slots=True)
class Run:
    """Pins of one request that stand in a row in a batch."""

    pending: PendingPins
    start: int
    stop: int

    @property
    def pins(self) -> list[ValidPin]:
        """The pins themselves."""
        return self.pending.pins[self.start : self.stop]

    def __len__(self) -> int:
        return self.stop - self.start


class PartitionQueue:
    """A queue of pins and the worker that sends them; the worker ends only with the connection."""

    def __init__(self, producer: BatchProducer, partition: TopicPartition, metrics: IngestMetrics) -> None:
        self.partition = partition
        self.acked_bytes_per_second = 0.0
        self._producer = producer
        self._metrics = metrics
        self._queue: deque[PendingPins] = deque()
        self._filled = asyncio.Event()
        self._time = asyncio.get_running_loop().time
        self._sent_at: float | None = None
        self.worker = asyncio.create_task(self._work(), name=f"partition-{partition.partition}")

    @property
    def in_flight_seconds(self) -> float:
        """How long the batch in flight has waited for its ack; 0 when none is."""
        return 0.0 if self._sent_at is None else self._time() - self._sent_at

    def put(self, pending: PendingPins) -> None:
        """Queue pins."""
        self._queue.append(pending)
        self._filled.set()

    async def close(self) -> None:
        """Stop the worker; what is queued or in flight fails."""
        self.worker.cancel()
        await asyncio.gather(self.worker, return_exceptions=True)
        for pending in self._queue:
            pending.fail(BrokerUnavailable("the connection to Kafka was lost: pins were not sent"))

    async def _work(self) -> None:
        while True:
            await self._filled.wait()
            batch, contents = self._pack()
            if not contents:
                self._filled.clear()
                continue
            try:
                await self._deliver(batch, contents)
            except BrokerUnavailable as error:
                _fail(contents, error)
                raise
            except asyncio.CancelledError:
                _fail(contents, BrokerUnavailable("the connection to Kafka was lost: pins may be stored"))
                raise

    def _pack(self) -> tuple[Batch, list[Run]]:
        """Fill a batch from the queue's head; what does not fit goes into the next one."""
        batch = self._producer.new_batch()
        contents: list[Run] = []
        while self._queue:
            pending = self._queue[0]
            if not pending.abandoned:
                start = pending.packed
                pending.packed += _append(batch, pending.pins[start:])
                if pending.packed > start:
                    contents.append(Run(pending, start, pending.packed))
                if pending.packed < len(pending.pins):
                    break
            self._queue.popleft()
        return batch, contents

    async def _deliver(self, batch: Batch, contents: list[Run]) -> None:
        """Send a batch. What Kafka refuses is sent again in halves, down to the pins that it refuses."""
        try:
            ack = await self._send(batch, contents)
        except BatchRefused as refusal:
            if len(batch) == 1:
                contents[0].pending.settle([RefusedByKafka(str(refusal), refusal.too_large)])
                return
            for half in _halves(contents, len(batch) // 2):
                await self._deliver_again(half)
            return
        receipts = self._receipts(ack)
        for run in contents:
            run.pending.settle(islice(receipts, len(run)))

    def _receipts(self, ack: Ack) -> Iterator[Receipt]:
        topic, partition = self.partition.topic, self.partition.partition
        log = log_name(ack.topic_id)
        for offset in count(ack.base_offset):
            yield Receipt(topic, log, partition, offset, ack.timestamp)

    async def _deliver_again(self, contents: list[Run]) -> None:
        wanted = [run for run in contents if not run.pending.abandoned]
        for run in contents:
            if run.pending.abandoned:
                run.pending.settle([None] * len(run))
        if wanted:
            batch = self._producer.new_batch()
            for run in wanted:
                _append(batch, run.pins)
            await self._deliver(batch, wanted)

    async def _send(self, batch: Batch, contents: list[Run]) -> Ack:
        self._sent_at = self._time()
        try:
            ack = await (await self._producer.send(batch, self.partition))
            seconds = self.in_flight_seconds
        finally:
            self._sent_at = None
        self._metrics.batch_records.observe(len(batch))
        size = sum(len(pin.value) for run in contents for pin in run.pins)
        rate = size / max(seconds, 1e-6)
        self.acked_bytes_per_second += _RATE_WEIGHT * (rate - self.acked_bytes_per_second)
        return ack


def _append(batch: Batch, pins: list[ValidPin]) -> int:
    """Append pins until the batch is full; return how many."""
    for appended, pin in enumerate(pins):
        if not batch.append(pin.key, pin.value, _HEADERS):
            return appended
    return len(pins)


def _halves(contents: list[Run], size: int) -> tuple[list[Run], list[Run]]:
    """Return the runs of the first `size` pins, and the others."""
    left: list[Run] = []
    right: list[Run] = []
    for run in contents:
        cut = min(run.start + size, run.stop)
        size -= cut - run.start
        if cut > run.start:
            left.append(Run(run.pending, run.start, cut))
        if cut < run.stop:
            right.append(Run(run.pending, cut, run.stop))
    return left, right


def _fail(contents: list[Run], error: BrokerUnavailable) -> None:
    for run in contents:
        run.pending.fail(error)
