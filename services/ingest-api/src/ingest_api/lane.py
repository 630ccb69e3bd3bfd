"""One partition's way into Kafka: parcels queue, batches leave one at a time, acks become receipts."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
from aiokafka import TopicPartition
from pin_schema.wire import SCHEMA_HEADER
from service_runtime.broker import Ack, Batch, BatchProducer, BrokerUnavailable

from ingest_api.metrics import IngestMetrics

_HEADERS = [SCHEMA_HEADER]
# Weight of the newest batch in the moving average of the ack rate.
_RATE_WEIGHT = 0.2


class Receipt(msgspec.Struct, frozen=True):
    """Where a pin is: all in-sync replicas hold it there. `timestamp` is the broker's append time in ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int


@dataclass(slots=True)
class Parcel:
    """The pins of one request that go to one partition, with the receipts they have got so far."""

    partition: int
    positions: list[int] = field(default_factory=list)
    pins: list[tuple[bytes, bytes]] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    packed: int = 0
    abandoned: bool = False
    done: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def add(self, position: int, key: bytes, value: bytes) -> None:
        """Add the pin that stands at `position` of the request."""
        self.positions.append(position)
        self.pins.append((key, value))

    def pack(self, batch: Batch) -> int:
        """Move pins into the batch until it is full or the parcel is empty; return how many."""
        before = self.packed
        for key, value in self.pins[before:]:
            if not batch.append(key, value, _HEADERS):
                break
            self.packed += 1
        return self.packed - before

    def deliver(self, ack: Ack, partition: TopicPartition, step: int, count: int) -> None:
        """Take the receipts of `count` pins that stand `step` records into the acknowledged batch."""
        first = ack.base_offset + step
        self.receipts.extend(
            Receipt(partition.topic, partition.partition, offset, ack.timestamp)
            for offset in range(first, first + count)
        )
        if not self.done.done() and (self.abandoned or len(self.receipts) == len(self.pins)):
            self.done.set_result(None)

    def abandon(self) -> str | None:
        """Stop waiting; what is not packed yet is never sent. Return why pins lack receipts, if any do."""
        if self.done.done():
            error = self.done.exception()
            return None if error is None else str(error)
        self.abandoned = True
        if self.packed == len(self.receipts):
            self.done.set_result(None)
            return f"partition {self.partition} is busy: pins without a receipt were not sent"
        return f"partition {self.partition} did not acknowledge in time: pins without a receipt may be stored"

    def fail(self, error: BrokerUnavailable) -> None:
        """End the wait with an error, unless it has ended."""
        if not self.done.done():
            self.done.set_exception(error)


class Lane:
    """A queue of parcels and the worker that ships them; the worker ends only with the connection."""

    def __init__(self, producer: BatchProducer, partition: TopicPartition, metrics: IngestMetrics) -> None:
        self.partition = partition
        self.acked_bytes_per_second = 0.0
        self._producer = producer
        self._metrics = metrics
        self._queue: deque[Parcel] = deque()
        self._filled = asyncio.Event()
        self._time = asyncio.get_running_loop().time
        self._sent_at: float | None = None
        self.worker = asyncio.create_task(self._work(), name=f"lane-{partition.partition}")

    @property
    def in_flight_seconds(self) -> float:
        """How long the batch in flight has waited for its ack; 0 when none is."""
        return 0.0 if self._sent_at is None else self._time() - self._sent_at

    def put(self, parcel: Parcel) -> None:
        """Queue a parcel."""
        self._queue.append(parcel)
        self._filled.set()

    async def close(self) -> None:
        """Stop the worker; what is queued or in flight fails."""
        self.worker.cancel()
        await asyncio.gather(self.worker, return_exceptions=True)
        _fail(self._queue, BrokerUnavailable("the connection to Kafka was lost: pins were not sent"))

    async def _work(self) -> None:
        while True:
            await self._filled.wait()
            batch, shipment = self._pack()
            if not shipment:
                self._filled.clear()
                continue
            parcels = [parcel for parcel, _ in shipment]
            try:
                await self._ship(batch, shipment)
            except BrokerUnavailable as error:
                _fail(parcels, error)
                raise
            except asyncio.CancelledError:
                _fail(parcels, BrokerUnavailable("the connection to Kafka was lost: pins may be stored"))
                raise

    def _pack(self) -> tuple[Batch, list[tuple[Parcel, int]]]:
        """Fill a batch from the queue's head; a parcel that does not fit goes on in the next batch."""
        batch = self._producer.new_batch()
        shipment: list[tuple[Parcel, int]] = []
        while self._queue:
            parcel = self._queue[0]
            if not parcel.abandoned:
                if packed := parcel.pack(batch):
                    shipment.append((parcel, packed))
                if parcel.packed < len(parcel.pins):
                    break
            self._queue.popleft()
        return batch, shipment

    async def _ship(self, batch: Batch, shipment: list[tuple[Parcel, int]]) -> None:
        self._sent_at = self._time()
        try:
            ack = await (await self._producer.send(batch, self.partition))
            seconds = self.in_flight_seconds
        finally:
            self._sent_at = None
        self._metrics.batch_records.observe(len(batch))
        self._measure(shipment, seconds)
        step = 0
        for parcel, count in shipment:
            parcel.deliver(ack, self.partition, step, count)
            step += count

    def _measure(self, shipment: list[tuple[Parcel, int]], seconds: float) -> None:
        size = sum(
            len(value)
            for parcel, count in shipment
            for _, value in parcel.pins[len(parcel.receipts) : len(parcel.receipts) + count]
        )
        rate = size / max(seconds, 1e-6)
        self.acked_bytes_per_second += _RATE_WEIGHT * (rate - self.acked_bytes_per_second)


def _fail(parcels: Iterable[Parcel], error: BrokerUnavailable) -> None:
    for parcel in parcels:
        parcel.fail(error)
