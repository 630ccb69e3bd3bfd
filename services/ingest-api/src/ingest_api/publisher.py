"""Pins into Kafka: one queue a partition, one batch in flight a queue, a receipt for each pin.

While a batch is in flight the queue's next pins gather, so batches grow with the load and a lone pin never
lingers. Acks are awaited for a bounded time; on a success the client and the log never disagree.
"""

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from aiokafka import TopicPartition
from pin_schema.logs import log_name
from service_runtime.broker import BatchProducer, BrokerUnavailable
from service_runtime.readiness import Dependency

from ingest_api.admission import Room
from ingest_api.metrics import IngestMetrics
from ingest_api.partition_queue import PartitionQueue, PendingPins, Receipt, RefusedByKafka
from ingest_api.settings import IngestSettings
from ingest_api.validation import ValidPin

log = structlog.get_logger(__name__)

RECONNECT_SECONDS = 1.0
PROBE_SECONDS = 2.0
MAX_RETRY_AFTER = 30


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a request's pins.

    A receipt for each pin, None where there is none: it is refused by Kafka for good, or no ack came in time,
    and `why` says what is known.
    """

    receipts: list[Receipt | None]
    refused: dict[int, RefusedByKafka]
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
        self._queues: list[PartitionQueue] = []
        self._log = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until `stop`; every reason for not being so is in /health/ready."""
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            try:
                await self._connect()
                await self._until_broken(stopping)
            except BrokerUnavailable as error:
                self._kafka.down(str(error))
            finally:
                await self._disconnect()
            await asyncio.wait({stopping}, timeout=RECONNECT_SECONDS)

    async def _connect(self) -> None:
        await self._producer.start()
        topic = await self._producer.topic(self._settings.kafka_topic)
        self._log = log_name(topic.topic_id)
        self._add_queues(topic.partitions)
        self._kafka.up()

    def _add_queues(self, count: int) -> None:
        topic = self._settings.kafka_topic
        for number in range(len(self._queues), count):
            self._queues.append(PartitionQueue(self._producer, TopicPartition(topic, number), self._metrics))

    async def _disconnect(self) -> None:
        queues, self._queues = self._queues, []
        for queue in queues:
            await queue.close()
        await self._producer.stop()

    async def _until_broken(self, stopping: "asyncio.Task[bool]") -> None:
        """Probe now and then; return on stop, raise BrokerUnavailable when a new connection is needed."""
        while not stopping.done():
            workers = {queue.worker for queue in self._queues}
            done, _ = await asyncio.wait(
                {stopping, *workers}, timeout=PROBE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            for worker in workers & done:
                worker.result()
            if not done:
                await self._probe()

    async def _probe(self) -> None:
        try:
            topic = await self._producer.topic(self._settings.kafka_topic)
        except BrokerUnavailable as error:
            self._kafka.down(str(error))
            return
        if (found := log_name(topic.topic_id)) != self._log:
            # Also with fewer partitions: what is in flight to one that is not there would be sent for ever.
            raise BrokerUnavailable(f"the topic was created again: its log {self._log} has become {found}")
        self._add_queues(topic.partitions)
        if stuck := self._stuck(range(topic.partitions)):
            self._kafka.down(stuck)
        else:
            self._kafka.up()

    def _stuck(self, partitions: Iterable[int]) -> str | None:
        """Say which of the partitions has let a batch wait for too long, if one has."""
        for partition in partitions:
            waited = self._queues[partition].in_flight_seconds
            if waited > self._settings.ack_timeout_seconds:
                return f"partition {partition} has not acknowledged for {waited:.0f} s"
        return None

    def require_connection(self) -> None:
        """Raise BrokerUnavailable when nothing can be sent now."""
        if not self._queues:
            raise BrokerUnavailable(self._kafka.why or "the producer is connecting")

    async def publish(self, pins: Sequence[ValidPin], room: Room) -> Published:
        """Send pins and await their acks, for a bounded time; raises BrokerUnavailable when nothing was sent.

        Their room is kept until Kafka has let go of them, whatever the client is answered.
        """
        self.require_connection()
        parts = self._by_partition(pins)
        if stuck := self._stuck(parts):
            raise BrokerUnavailable(stuck)
        for partition, pending in parts.items():
            self._queues[partition].put(pending)
        delivered = asyncio.gather(*(part.done for part in parts.values()), return_exceptions=True)
        room.keep_until(delivered)
        await asyncio.wait({delivered}, timeout=self._settings.ack_timeout_seconds)
        return self._published(list(parts.values()), len(pins))

    def _by_partition(self, pins: Sequence[ValidPin]) -> dict[int, PendingPins]:
        count = len(self._queues)
        parts: dict[int, PendingPins] = {}
        for position, pin in enumerate(pins):
            partition = pin.key_hash % count
            if partition not in parts:
                parts[partition] = PendingPins(partition)
            parts[partition].add(position, pin)
        return parts

    def _published(self, parts: list[PendingPins], count: int) -> Published:
        receipts: list[Receipt | None] = [None] * count
        refused: dict[int, RefusedByKafka] = {}
        reasons = [reason for part in parts if (reason := part.abandon())]
        for part in parts:
            for position, outcome in zip(part.positions, part.outcomes, strict=False):
                if isinstance(outcome, RefusedByKafka):
                    refused[position] = outcome
                else:
                    receipts[position] = outcome
        self._metrics.accepted.inc(count - receipts.count(None))
        if refused:
            why = next(iter(refused.values())).why
            log.warning("Kafka refuses pins for good", pins=len(refused), why=why)
        return Published(receipts, refused, reasons[0] if reasons else None)

    def retry_after(self) -> int:
        """Seconds after which trying again is worth it: the longer Kafka has been away, the more."""
        waited = max([self._kafka.down_seconds, *(queue.in_flight_seconds for queue in self._queues)])
        return min(MAX_RETRY_AFTER, max(1, math.ceil(waited / 2)))

    def drain_seconds(self, size: int) -> int:
        """Seconds until Kafka has acknowledged `size` bytes, at its present rate."""
        rate = sum(queue.acked_bytes_per_second for queue in self._queues)
        return min(MAX_RETRY_AFTER, max(1, math.ceil(size / rate))) if rate else 1
