"""Spark and its two queries. Every call blocks, and all must come from one thread."""

import json
import logging
import re
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import structlog
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark import SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from service_runtime.spark import spark_session

from stream_etl import queries
from stream_etl.batch import BatchName
from stream_etl.checkpoint import Checkpoints
from stream_etl.settings import StreamSettings
from stream_etl.source import topic_records
from stream_etl.staging import STAGED, Staged, stage_rows
from stream_etl.stops import CheckpointDoesNotFit, StreamStop
from stream_etl.watch import Report

log = structlog.get_logger(__name__)

STATE_PARTITIONS = 4
CHUNK_BYTES = 2**20
# Those of some seconds: they are asked for every second.
REPORTS = 20
STATE_STORE = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
# What Spark says of a checkpoint it cannot go on from.
_CHECKPOINT_FAULT = re.compile(
    r"STATE_STORE\w*(SCHEMA|FORMAT|CHECKPOINT)|STATEFUL_OPERATOR_NOT_MATCH|INCOMPATIBLE_CHECKPOINT"
    # Some of these pass: a lock that is still held, a full disk, too little memory.
    r"|CANNOT_LOAD_STATE_STORE\.(?!UNRELEASED|UNCATEGORIZED|FAILED_TO_GET|\w*OUT_OF_MEMORY)"
    r"|sources in the checkpoint|batch \d+ doesn't exist|Malformed|CANNOT_LOAD_CHECKPOINT|LOG_VERSION"
)

WriteBatch = Callable[[BatchName, Staged], bool]
"Merges a batch; False when it has to be staged again."


@dataclass(frozen=True, slots=True)
class Query:
    """One streaming query; `pace` tells how many batches of the live query one of its own stands for."""

    name: str
    plan: Callable[[DataFrame], DataFrame]
    mode: str
    pace: int


LIVE = Query("live", queries.live, "update", 1)
# A session is known six minutes after its last pin: a few seconds more spare Spark most of the work.
SESSIONS = Query("sessions", queries.sessions, "append", 10)
QUERIES = (LIVE, SESSIONS)


class BatchFailed(Exception):  # noqa: N818 (told to Spark alone)
    """The batch could not be written; why, the engine knows."""


class QueryDied(Exception):  # noqa: N818 (a state of the query)
    """A query ended by itself: only a new process helps."""


class Engine:
    """Starts Spark, runs the queries, has each batch staged and tells `write_batch`, in Spark's threads."""

    def __init__(self, settings: StreamSettings, write_batch: WriteBatch) -> None:
        self._settings = settings
        self._write_batch = write_batch
        self._spark: SparkSession | None = None
        self._running: dict[str, StreamingQuery] = {}
        self._failures: dict[str, Exception] = {}

    def start(self, checkpoints: Checkpoints) -> None:
        """Start the queries, and Spark if it does not run; raises CheckpointDoesNotFit."""
        # py4j logs every call, and once more what fails here.
        logging.getLogger("py4j").setLevel(logging.CRITICAL)
        if self._spark is None:
            config = spark_config(self._settings)
            self._spark = spark_session("stream-etl", self._settings, config, "stream_etl.spark_workers")
        self._failures.clear()
        for query in QUERIES:
            try:
                self._running[query.name] = self._started(self._spark, query, checkpoints)
            except PySparkException as error:
                raise verdict(query.name, error) from None

    def _started(self, spark: SparkSession, query: Query, checkpoints: Checkpoints) -> StreamingQuery:
        most = self._settings.batch_max_records * query.pace
        records = topic_records(spark, self._settings, checkpoints.log, most)
        seconds = self._settings.trigger_seconds * query.pace

        def each_batch(frame: DataFrame, number: int) -> None:
            try:
                name = BatchName(query.name, checkpoints.query_id(query.name), number)
                staging = frame.mapInArrow(stage_rows(str(self._settings.postgres_dsn), name), STAGED)
                # Also for a batch that is written already: its run is what brings the state up to date.
                while not self._write_batch(name, Staged.of(staging.collect())):
                    pass
            except Exception as error:
                self._failures[query.name] = error
                # Spark searches the text of what comes from here so that a long one overflows its stack.
                raise BatchFailed(type(error).__name__) from None

        stream = query.plan(records).writeStream.queryName(query.name).outputMode(query.mode)
        stream = stream.option("checkpointLocation", checkpoints.of(query.name).resolve().as_uri())
        return stream.trigger(processingTime=f"{seconds} seconds").foreachBatch(each_batch).start()

    def reports(self) -> Mapping[str, list[Report]]:
        """Spark's latest reports of each query, in order; raises QueryDied or a StreamStop."""
        for name, query in self._running.items():
            if not query.isActive:
                raise verdict(name, self._failures.get(name) or query.exception())
        return {
            name: [json.loads(report.json) for report in query.recentProgress]
            for name, query in self._running.items()
        }

    def stop_queries(self) -> None:
        """Stop the queries; what a batch had not committed is run again by the next start."""
        for query in self._running.values():
            query.stop()
        self._running.clear()

    def close(self) -> None:
        """Stop the queries, then Spark."""
        try:
            self.stop_queries()
            if self._spark is not None:
                self._spark.stop()
        except (Py4JError, OSError, PySparkException) as error:
            # A signal to the process group ends the JVM as well, sometimes before us.
            log.info("Spark was gone before it was stopped", error=str(error).partition("\n")[0])

    def resident_memory(self) -> int:
        """Return the bytes of memory that Spark's JVM holds."""
        assert self._jvm is not None  # noqa: S101 (it is there from `start` on)
        pages = Path(f"/proc/{self._jvm.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * resource.getpagesize()

    def kill(self) -> None:
        """End a Spark that answers no more; every call that waits for it fails. May come from any thread."""
        if self._jvm is not None:
            self._jvm.kill()

    @property
    def _jvm(self) -> "Popen[bytes] | None":
        # No other way leads to Spark's process; the class has it, even before there is a session.
        gateway = SparkContext._gateway
        return None if gateway is None else gateway.proc


def spark_config(settings: StreamSettings) -> dict[str, str]:
    """What the queries need of Spark beside its usual settings."""
    jars = sorted(str(path) for path in settings.spark_jars_dir.glob("*.jar"))
    return {
        "spark.jars": ",".join(jars),
        # What a Python worker is handed, and holds, at once.
        "spark.sql.execution.arrow.maxBytesPerBatch": str(CHUNK_BYTES),
        "spark.sql.shuffle.partitions": str(STATE_PARTITIONS),
        "spark.sql.streaming.stateStore.providerClass": STATE_STORE,
        "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
        "spark.sql.streaming.stateStore.rocksdb.boundedMemoryUsage": "true",
        # The optimizer may filter below a watermark of one branch; the other one has seen every record.
        "spark.sql.streaming.multipleWatermarkPolicy": "max",
        "spark.sql.streaming.numRecentProgressUpdates": str(REPORTS),
    }


def verdict(query: str, error: Exception | None) -> Exception:
    """Return a stop for what no restart can mend, QueryDied for all else."""
    if isinstance(error, StreamStop):
        return error
    # What follows is the plan, pages of it.
    text = str(error).partition("\n=== Streaming Query ===")[0]
    if _CHECKPOINT_FAULT.search(text):
        return CheckpointDoesNotFit(f"Spark refuses the checkpoint of {query!r}: {text}")
    return QueryDied(f"the query {query!r} ended: {text}")
