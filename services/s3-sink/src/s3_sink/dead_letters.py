"""Records that are no pins, kept where an operator finds them: the dead-letter topic."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import structlog
from aiokafka import TopicPartition
from service_runtime.broker import BatchProducer, BatchRefused, BrokerUnavailable, Headers, partition_name
from service_runtime.clock import Clock
from service_runtime.patience import until_answered
from service_runtime.readiness import Dependency

from s3_sink.metrics import SinkMetrics
from s3_sink.open_object import DeadLetter, SealedObject

log = structlog.get_logger(__name__)


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
        self._connecting = asyncio.Lock()
        # Nobody waits for the topic before there is a letter.
        self._state.up()

    async def publish(self, source: TopicPartition, sealed: SealedObject) -> None:
        """Return when all in-sync replicas hold the object's letters; after a retry some may be there twice.

        Readers know a repeat by the position in its headers.
        """
        done, letters = 0, sealed.dead_letters
        try:
            while done < len(letters):
                done += await until_answered(
                    partial(self._publish_some, source, sealed.metadata.log, letters[done:]),
                    BrokerUnavailable,
                    self._clock,
                    partial(self._note_waiting, source),
                )
        finally:
            # An archiver that is revoked while it waits waits no more.
            self._state.forget(partition_name(source))

    def _note_waiting(self, source: TopicPartition, why: str) -> None:
        self._state.down(f"{self._topic}: {why}", partition_name(source))
        self._partitions = 0

    async def _publish_some(self, source: TopicPartition, of: str, letters: Sequence[DeadLetter]) -> int:
        """Return how many of the first letters are done with."""
        await self._connect()
        try:
            done = await self._send(source, of, letters)
        except BatchRefused as refusal:
            done = await self._send_alone(source, of, letters[0], refusal)
        for letter in letters[:done]:
            self._metrics.dead_letters.labels(letter.reason).inc()
        return done

    async def _send(self, source: TopicPartition, of: str, letters: Sequence[DeadLetter]) -> int:
        """Write one batch of letters; return how many it holds."""
        batch = self._producer.new_batch()
        for letter in letters:
            if not batch.append(letter.key, letter.value, _headers(source, of, letter)):
                break
        to = TopicPartition(self._topic, source.partition % self._partitions)
        await (await self._producer.send(batch, to))
        return len(batch)

    async def _send_alone(
        self, source: TopicPartition, of: str, letter: DeadLetter, refusal: BatchRefused
    ) -> int:
        """Write the letter that may be the refused one: as it is, else without what the archive has too."""
        for less in (letter, replace(letter, key=None, value=b"")):
            try:
                return await self._send(source, of, [less])
            except BatchRefused as again:
                refusal = again
        place = f"{partition_name(source)}@{letter.offset}"
        log.error("the dead-letter topic never takes this letter", place=place, why=str(refusal))
        return 1

    async def _connect(self) -> None:
        async with self._connecting:
            if not self._partitions:
                await self._producer.stop()
                await self._producer.start()
                self._partitions = (await self._producer.topic(self._topic)).partitions


def _headers(source: TopicPartition, of: str, letter: DeadLetter) -> Headers:
    values = {
        "reason": letter.reason,
        "topic": source.topic,
        "log": of,
        "partition": str(source.partition),
        "offset": str(letter.offset),
        "value_bytes": str(letter.value_bytes),
    }
    return [(name, text.encode()) for name, text in values.items()]
