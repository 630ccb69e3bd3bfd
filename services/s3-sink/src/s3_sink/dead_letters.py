"""Records that are no pins, kept where a person finds them: the dead-letter topic."""

import asyncio
from collections.abc import Sequence
from functools import partial

from aiokafka import TopicPartition
from service_runtime.broker import BatchProducer, BrokerUnavailable, Headers
from service_runtime.clock import Clock
from service_runtime.patience import until_answered
from service_runtime.readiness import Dependency

from s3_sink.batch import DeadLetter
from s3_sink.metrics import SinkMetrics


class DeadLetters:
    """Writes dead letters until they are acknowledged; connects when the first one comes."""

    def __init__(
        self, producer: BatchProducer, topic: str, state: Dependency, metrics: SinkMetrics, clock: Clock
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._state = state
        self._metrics = metrics
        self._clock = clock
        self._partitions = 0
        self._one_at_a_time = asyncio.Lock()
        # Nobody waits for the topic before there is a letter.
        self._state.up()

    async def publish(self, source: TopicPartition, letters: Sequence[DeadLetter]) -> None:
        """Return when all in-sync replicas hold the letters; after a retry some may be there twice.

        Readers know a repeat by the position in its headers.
        """
        sent = 0
        async with self._one_at_a_time:
            try:
                while sent < len(letters):
                    sent += await until_answered(
                        partial(self._publish_batch, source, letters[sent:]),
                        BrokerUnavailable,
                        self._clock,
                        self._note_waiting,
                    )
            finally:
                # A chain that is revoked while it waits waits no more.
                self._state.up()

    def _note_waiting(self, why: str) -> None:
        self._state.down(f"{self._topic}: {why}")
        self._partitions = 0

    async def _publish_batch(self, source: TopicPartition, letters: Sequence[DeadLetter]) -> int:
        await self._connect()
        batch = self._producer.new_batch()
        for letter in letters:
            if not batch.append(letter.record.key, letter.record.value or b"", _headers(source, letter)):
                break
        to = TopicPartition(self._topic, source.partition % self._partitions)
        await (await self._producer.send(batch, to))
        for letter in letters[: len(batch)]:
            self._metrics.dead_letters.labels(letter.reason).inc()
        return len(batch)

    async def _connect(self) -> None:
        if not self._partitions:
            await self._producer.stop()
            await self._producer.start()
            self._partitions = await self._producer.partition_count(self._topic)


def _headers(source: TopicPartition, letter: DeadLetter) -> Headers:
    return [
        ("reason", letter.reason.encode()),
        ("topic", source.topic.encode()),
        ("partition", str(source.partition).encode()),
        ("offset", str(letter.record.offset).encode()),
    ]
