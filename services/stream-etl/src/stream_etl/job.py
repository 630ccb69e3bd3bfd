"""The worker: wait for the neighbours, see that log and checkpoint fit, run the queries, watch them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog
from service_runtime.broker import BrokerUnavailable
from service_runtime.clock import Clock
from service_runtime.patience import until_answered
from service_runtime.readiness import Readiness

from stream_etl.batch import BatchName
from stream_etl.checkpoint import Checkpoints
from stream_etl.engine import QUERIES, Engine
from stream_etl.metrics import StreamMetrics
from stream_etl.resume import (
    LogRange,
    Written,
    require_same_batches,
    require_same_log,
    require_same_record,
)
from stream_etl.settings import StreamSettings
from stream_etl.staging import Staged
from stream_etl.stops import StreamStop
from stream_etl.topic import Topic
from stream_etl.watch import QueryWatch, Report
from stream_etl.writer import Writer

log = structlog.get_logger(__name__)

WATCH_SECONDS = 1.0
# A signal to the process group ends Spark's JVM too, sometimes before we are told to stop.
SIGNAL_SECONDS = 3.0
# A batch that is cut off is run again: Spark's own end may take this long, and not the supervisor's patience.
CLOSE_SECONDS = 15.0

T = TypeVar("T")


class SparkStalled(Exception):  # noqa: N818 (a state of Spark)
    """Spark answers nothing, and no metric would tell: only a new process helps."""


class Job:
    """Owns Spark and the bridge from its threads to the event loop, where PostgreSQL is written."""

    def __init__(
        self,
        settings: StreamSettings,
        topic: Topic,
        writer: Writer,
        readiness: Readiness,
        clock: Clock,
        metrics: StreamMetrics,
    ) -> None:
        self._topic = topic
        self._writer = writer
        self._kafka = readiness.dependency("kafka")
        self._spark = readiness.dependency("spark")
        self._clock = clock
        self._metrics = metrics
        self._checkpoints = Checkpoints(settings.checkpoint_dir, settings.kafka_topic)
        self._engine = Engine(settings, self._checkpoints, self._write_batch)
        self._stall_seconds = settings.stall_seconds
        self._engine_thread = ThreadPoolExecutor(1, thread_name_prefix="spark")
        self._watches = {query.name: QueryWatch(query.name, clock, metrics) for query in QUERIES}
        self._writing: set[Future[bool]] = set()
        self._closing = False

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`; a query that dies ends the process, a named stop waits for a person."""
        self._loop = asyncio.get_running_loop()
        stopping = asyncio.create_task(stop.wait())
        working = asyncio.create_task(self._work())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await asyncio.wait({stopping}, timeout=SIGNAL_SECONDS)
            if not stop.is_set():
                await self._judge(working)
                await stopping
        finally:
            working.cancel()
            stopping.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)
            await self._close()

    async def _work(self) -> None:
        await self._require_a_fit()
        self._spark.down("Spark is starting")
        await self._in_engine(self._engine.start)
        self._spark.up()
        while True:
            await self._watch()
            await self._clock.sleep(WATCH_SECONDS)

    async def _judge(self, working: "asyncio.Task[None]") -> None:
        """Raise why the work ended, unless it is for a person to decide."""
        stop = working.exception()
        if not isinstance(stop, StreamStop):
            working.result()
            return
        log.error("stopped, waiting for a person", reason=stop.reason, why=str(stop))
        self._metrics.stopped.labels(stop.reason).set(1)
        self._spark.down(str(stop))
        await self._end_queries()

    async def _require_a_fit(self) -> None:
        """Raise the StreamStop that says why the checkpoint and the log do not belong together."""
        await self._until_kafka_answers(self._topic.ranges)
        self._checkpoints.claim()
        for query in QUERIES:
            checkpoint = self._checkpoints.read(query.name)
            if checkpoint is None:
                continue
            written = await self._writer.written(checkpoint.query_id)
            require_same_batches(checkpoint, written)
            # Asked for only now: PostgreSQL may have been waited for longer than the topic keeps its records.
            held = await self._until_kafka_answers(self._topic.ranges)
            require_same_log(checkpoint, held)
            await self._require_same_records(written, held)
            for position in written.positions.values():
                self._watches[query.name].resume(position.event_time)

    async def _require_same_records(self, written: Written, held: Mapping[int, LogRange]) -> None:
        for partition, last in written.positions.items():
            if last.offset >= held[partition].start:
                found = await self._until_kafka_answers(
                    partial(self._topic.event_time, partition, last.offset)
                )
                require_same_record(partition, last, found)

    async def _watch(self) -> None:
        reports = await self._reports()
        self._metrics.spark_memory.set(self._engine.resident_memory())
        try:
            held = await self._topic.ranges()
        except BrokerUnavailable as error:
            self._kafka.down(str(error))
        else:
            self._kafka.up()
            for name, watch in self._watches.items():
                watch.observe(reports[name], held)
        await self._writer.probe()

    async def _reports(self) -> Mapping[str, list[Report]]:
        try:
            return await asyncio.wait_for(self._in_engine(self._engine.reports), self._stall_seconds)
        except TimeoutError as error:
            raise SparkStalled(
                f"Spark has not answered for {self._stall_seconds:g} s: is it short of memory or processors?"
            ) from error

    def _write_batch(self, name: BatchName, staged: Staged) -> bool:
        """Write from Spark's thread on the event loop, and wait; False when it has to be staged again."""
        writing = asyncio.run_coroutine_threadsafe(self._writer.write(name, staged), self._loop)
        self._writing.add(writing)
        if self._closing:
            writing.cancel()
        try:
            return writing.result()
        finally:
            self._writing.discard(writing)

    async def _close(self) -> None:
        await self._end_queries()
        await self._topic.close()

    async def _end_queries(self) -> None:
        self._closing = True
        # A batch that waits for PostgreSQL would keep its query from stopping; it is run again.
        for writing in list(self._writing):
            writing.cancel()
        try:
            await asyncio.wait_for(self._in_engine(self._engine.close), CLOSE_SECONDS)
        except TimeoutError:
            log.warning("Spark does not stop and is killed", after_seconds=CLOSE_SECONDS)
            self._engine.kill()

    async def _until_kafka_answers(self, question: Callable[[], Awaitable[T]]) -> T:
        answer = await until_answered(question, BrokerUnavailable, self._clock, self._kafka.down)
        self._kafka.up()
        return answer

    async def _in_engine(self, call: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._engine_thread, call)
