"""The worker: find the log and the checkpoints that fit it, run the queries, watch them."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog
from service_runtime.broker import BrokerUnavailable
from service_runtime.clock import Clock
from service_runtime.readiness import Readiness

from stream_etl.batch import BatchName
from stream_etl.engine import LIVE, QUERIES, Engine, QueryDied
from stream_etl.metrics import StreamMetrics
from stream_etl.read_log import LogReplaced, ReadLog
from stream_etl.resume import LogRange
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
        self._read_log = ReadLog(settings.checkpoint_dir, topic, writer, self._kafka, clock)
        # What the log held when it was last known to be the one that is read.
        self._held: Mapping[int, LogRange] = {}
        self._engine = Engine(settings, self._write_batch)
        self._stall_seconds = settings.stall_seconds
        self._engine_thread = ThreadPoolExecutor(1, thread_name_prefix="spark")
        self._watches: dict[str, QueryWatch] = {}
        self._writing: set[Future[bool]] = set()
        self._is_stopping = False

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
        while True:
            checkpoints = await self._read_log.claim()
            self._watches = self._new_watches()
            self._spark.down("Spark is starting")
            self._is_stopping = False
            await self._in_engine(partial(self._engine.start, checkpoints))
            self._spark.up()
            try:
                await self._watch_queries()
            except (LogReplaced, QueryDied) as ended:
                self._spark.down(str(ended))
                self._cut_off_batches()
                await self._in_engine(self._engine.stop_queries)
                if not await self._read_log.is_replaced():
                    raise
                await self._note_new_log(checkpoints.query_id(LIVE.name), str(ended))

    def _new_watches(self) -> dict[str, QueryWatch]:
        watches = {query.name: QueryWatch(query.name, self._clock, self._metrics) for query in QUERIES}
        for name, written in self._read_log.written.items():
            for position in written.positions.values():
                watches[name].resume(position.event_time)
        return watches

    async def _note_new_log(self, query_id: str, why: str) -> None:
        written = (await self._writer.written(query_id)).positions
        read_to = {p: written[p].offset + 1 if p in written else held.start for p, held in self._held.items()}
        gone = sum(max(0, held.end - read_to[p]) for p, held in self._held.items())
        log.warning(
            "the topic was deleted and created again: its new log is read from the start",
            why=why,
            old_log_read_to=read_to,
            records_gone_at_least=gone,
        )
        self._metrics.logs_replaced.inc()
        self._metrics.gone_with_their_log.inc(gone)

    async def _watch_queries(self) -> None:
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

    async def _watch(self) -> None:
        reports = await self._reports()
        self._metrics.spark_memory.set(self._engine.resident_memory())
        try:
            held = await self._topic.ranges()
            # A log's end is known to be its own when its id was asked afterwards.
            self._read_log.require_same(await self._topic.identities())
        except BrokerUnavailable as error:
            self._kafka.down(str(error))
        else:
            self._kafka.up()
            self._held = held
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
        writing = asyncio.run_coroutine_threadsafe(self._write(name, staged), self._loop)
        self._writing.add(writing)
        if self._is_stopping:
            writing.cancel()
        try:
            return writing.result()
        finally:
            self._writing.discard(writing)

    async def _write(self, name: BatchName, staged: Staged) -> bool:
        if not await self._read_log.has_same_leaders(name.query, name.query_id):
            return False
        return await self._writer.write(name, staged)

    async def _close(self) -> None:
        await self._end_queries()
        await self._topic.close()

    async def _end_queries(self) -> None:
        self._cut_off_batches()
        try:
            await asyncio.wait_for(self._in_engine(self._engine.close), CLOSE_SECONDS)
        except TimeoutError:
            log.warning("Spark does not stop and is killed", after_seconds=CLOSE_SECONDS)
            self._engine.kill()

    def _cut_off_batches(self) -> None:
        """Let no batch that waits for Kafka or PostgreSQL keep its query from stopping; it is run again."""
        self._is_stopping = True
        for writing in list(self._writing):
            writing.cancel()

    async def _in_engine(self, call: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._engine_thread, call)
