"""Pins into Kafka: one lane a partition, one batch in flight a lane, a receipt for each pin.

While a batch is in flight the lane's next pins gather, so batches grow with the load and a lone pin never
lingers. Acks are awaited for a bounded time; on a success the client and the log never disagree.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from service_runtime.broker import BatchProducer, BrokerUnavailable
from service_runtime.readiness import Dependency

from ingest_api.lane import Lane, Parcel, Receipt
from ingest_api.metrics import IngestMetrics
from ingest_api.settings import IngestSettings

RECONNECT_SECONDS = 1.0
PROBE_SECONDS = 2.0
MAX_RETRY_AFTER = 30


class QueueFull(Exception):  # noqa: N818 (a state, not a mistake)
    """Too many bytes await their ack; nothing of this request was sent."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many pins await their acknowledgement")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Published:
    """A receipt for each pin of a request, None where no ack came in time; then `why` says what is known."""

    receipts: list[Receipt | None]
    why: str | None


class Publisher:
    """Owns the producer: connects, probes, reconnects; `publish` is all a route needs."""

    def __init__(
        self, producer: BatchProducer, settings: IngestSettings, kafka: Dependency, metrics: IngestMetrics
    ) -> None:
        self._producer = producer
        self._settings = settings
        self._kafka = kafka
        self._metrics = metrics
        self._lanes: list[Lane] = []
        self._partitioner = DefaultPartitioner()
        self._pending_bytes = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until `stop`; every reason for not being so is in /health/ready."""
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            try:
                await self._connect()
                await self._until_broken(stopping)
            except BrokerUnavailable as error:
                self._kafka.down(str(error))
            await self._disconnect()
            await asyncio.wait({stopping}, timeout=RECONNECT_SECONDS)

    async def _connect(self) -> None:
        await self._producer.start()
        topic = self._settings.kafka_topic
        count = await self._producer.partition_count(topic)
        self._lanes = [
            Lane(self._producer, TopicPartition(topic, number), self._metrics) for number in range(count)
        ]
        self._kafka.up()

    async def _disconnect(self) -> None:
        lanes, self._lanes = self._lanes, []
        for lane in lanes:
            await lane.close()
        await self._producer.stop()

    async def _until_broken(self, stopping: "asyncio.Task[bool]") -> None:
        """Probe now and then; return on stop, raise BrokerUnavailable when a new connection is needed."""
        workers = {lane.worker for lane in self._lanes}
        while not stopping.done():
            done, _ = await asyncio.wait(
                {stopping, *workers}, timeout=PROBE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            for worker in workers & done:
                worker.result()
            if not done:
                await self._probe()

    async def _probe(self) -> None:
        try:
            count = await self._producer.partition_count(self._settings.kafka_topic)
        except BrokerUnavailable as error:
            self._kafka.down(str(error))
            return
        if count != len(self._lanes):
            raise BrokerUnavailable(f"the topic went from {len(self._lanes)} to {count} partitions")
        if stuck := self._stuck(range(count)):
            self._kafka.down(stuck)
        else:
            self._kafka.up()

    def _stuck(self, partitions: Sequence[int]) -> str | None:
        """Say which of the partitions has let a batch wait for too long, if one has."""
        for partition in partitions:
            waited = self._lanes[partition].in_flight_seconds
            if waited > self._settings.ack_timeout_seconds:
                return f"partition {partition} has not acknowledged for {waited:.0f} s"
        return None

    async def publish(self, pins: Sequence[tuple[bytes, bytes]]) -> Published:
        """Send (key, value) pairs; raises BrokerUnavailable or QueueFull when nothing was sent."""
        if not self._lanes:
            raise BrokerUnavailable(self._kafka.why or "the producer is connecting")
        size = sum(len(value) for _, value in pins)
        if self._pending_bytes + size > self._settings.queue_max_bytes:
            raise QueueFull(self._drain_seconds())
        parcels = self._sort(pins)
        if stuck := self._stuck([parcel.partition for parcel in parcels]):
            raise BrokerUnavailable(stuck)
        for parcel in parcels:
            self._lanes[parcel.partition].put(parcel)
        await self._deliver(parcels, size)
        return self._published(parcels, len(pins))

    def _sort(self, pins: Sequence[tuple[bytes, bytes]]) -> list[Parcel]:
        partitions = range(len(self._lanes))
        parcels: dict[int, Parcel] = {}
        for position, (key, value) in enumerate(pins):
            partition = self._partitioner(key, partitions, partitions)
            if partition not in parcels:
                parcels[partition] = Parcel(partition)
            parcels[partition].add(position, key, value)
        return list(parcels.values())

    async def _deliver(self, parcels: list[Parcel], size: int) -> None:
        """Wait for the acks, for a bounded time; the bytes count until Kafka has let go of them."""
        self._hold(size)
        delivered = asyncio.gather(*(parcel.done for parcel in parcels), return_exceptions=True)
        delivered.add_done_callback(lambda _: self._hold(-size))
        await asyncio.wait({delivered}, timeout=self._settings.ack_timeout_seconds)

    def _hold(self, size: int) -> None:
        self._pending_bytes += size
        self._metrics.pending_bytes.set(self._pending_bytes)

    def _published(self, parcels: list[Parcel], count: int) -> Published:
        receipts: list[Receipt | None] = [None] * count
        reasons = [reason for parcel in parcels if (reason := parcel.abandon())]
        for parcel in parcels:
            for position, receipt in zip(parcel.positions, parcel.receipts, strict=False):
                receipts[position] = receipt
        self._metrics.accepted.inc(count - receipts.count(None))
        return Published(receipts, reasons[0] if reasons else None)

    def retry_after(self) -> int:
        """Seconds after which trying again is worth it: the longer Kafka has been away, the more."""
        waited = max([self._kafka.down_seconds, *(lane.in_flight_seconds for lane in self._lanes)])
        return min(MAX_RETRY_AFTER, max(1, math.ceil(waited / 2)))

    def _drain_seconds(self) -> int:
        rate = sum(lane.acked_bytes_per_second for lane in self._lanes)
        return min(MAX_RETRY_AFTER, max(1, math.ceil(self._pending_bytes / rate))) if rate else 1
