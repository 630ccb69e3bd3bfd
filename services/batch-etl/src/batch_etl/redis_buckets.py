"""Steps in Redis, as Spark's tasks see them: a task writes a bucket, and reads whole buckets back.

A bucket is a hash: chunk number to Arrow IPC stream. So a command that is repeated changes nothing.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import redis
from pydantic import SecretStr
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from batch_etl.errors import StageLost

CHUNK_BYTES = 1024 * 1024
CHUNKS_A_REQUEST = 4
MAX_PAUSE_SECONDS = 5.0


def connect(url: SecretStr, patience_seconds: float) -> "redis.Redis":
    """A client that repeats what got no answer, for about `patience_seconds`."""
    retries = int(patience_seconds / MAX_PAUSE_SECONDS) + 1
    return redis.Redis.from_url(
        url.get_secret_value(),
        retry=Retry(ExponentialBackoff(cap=MAX_PAUSE_SECONDS, base=0.2), retries),
        socket_timeout=10,
        socket_connect_timeout=3,
    )


@dataclass(frozen=True, slots=True)
class StageKeys:
    """The keys of one staging under its own prefix."""

    prefix: str

    @property
    def buckets(self) -> str:
        """The set of every bucket that was begun, those of lost tasks too: what is to be deleted."""
        return f"{self.prefix}:buckets"

    def new_bucket(self, step: str) -> str:
        """A key that no other attempt of a task has."""
        return f"{self.prefix}:{step}:{uuid.uuid4()}"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that a task has written whole."""

    key: str
    chunks: int


@dataclass(frozen=True, slots=True)
class Stage:
    """How tasks reach a staging."""

    url: SecretStr
    keys: StageKeys
    ttl_seconds: int
    wait_seconds: float

    def connect(self) -> "redis.Redis":
        """A client of its own for the caller."""
        return connect(self.url, self.wait_seconds)


class BucketWriter:
    """Writes a step, a task a bucket."""

    def __init__(self, stage: Stage, step: str) -> None:
        self._stage = stage
        self._step = step

    def write(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write a task's rows into a bucket of its own, and yield its key and number of chunks."""
        key, count = self._stage.keys.new_bucket(self._step), 0
        with self._stage.connect() as client:
            for chunk in (chunk for batch in batches for chunk in chunks_of(batch)):
                with client.pipeline() as pipeline:
                    # Each time: a task that outlives its run must leave nothing that does not expire.
                    pipeline.sadd(self._stage.keys.buckets, key)
                    pipeline.expire(self._stage.keys.buckets, self._stage.ttl_seconds)
                    pipeline.hset(key, str(count), chunk)
                    pipeline.expire(key, self._stage.ttl_seconds)
                    pipeline.execute()
                count += 1
        yield pa.RecordBatch.from_pydict({"key": [key], "chunks": [count]})


class BucketReader:
    """Reads buckets back, a task a bucket."""

    def __init__(self, stage: Stage, buckets: Sequence[Bucket]) -> None:
        self._stage = stage
        self._buckets = buckets

    def read(self, number: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the bucket with this number; raises StageLost when a chunk is gone."""
        with self._stage.connect() as client:
            for chunk in _chunks(client, self._buckets[number]):
                yield from pa.ipc.open_stream(chunk)


def _chunks(client: "redis.Redis", bucket: Bucket) -> Iterator[bytes]:
    for start in range(0, bucket.chunks, CHUNKS_A_REQUEST):
        numbers = range(start, min(start + CHUNKS_A_REQUEST, bucket.chunks))
        for chunk in client.hmget(bucket.key, [str(number) for number in numbers]):
            if not isinstance(chunk, bytes):
                raise StageLost(f"{bucket.key} is not whole: evicted, expired or flushed")
            yield chunk


def chunks_of(batch: pa.RecordBatch) -> Iterator[bytes]:
    """The batch as Arrow IPC streams of about CHUNK_BYTES before compression, in order."""
    if not batch.num_rows:
        return
    rows = max(1, batch.num_rows * CHUNK_BYTES // max(batch.nbytes, 1))
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    for start in range(0, batch.num_rows, rows):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema, options=options) as stream:
            stream.write_batch(batch.slice(start, rows))
        yield sink.getvalue().to_pybytes()
