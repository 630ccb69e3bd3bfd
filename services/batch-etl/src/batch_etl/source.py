"""The archive as frames: first what each object holds, verified; then the records of those that hold it."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import asdict
from functools import partial

import pyarrow as pa
from pin_schema.archive import ArchivedRecord, ObjectKey
from pin_schema.archive_stream import VerifiedObject, records_of, verify
from pin_schema.spark_records import judged
from pin_schema.spark_types import RAW_RECORD
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import LongType, StringType, StructField, StructType
from service_runtime.clock import SystemClock
from service_runtime.object_store import ObjectStore, StoredObject, StoreUnavailable
from service_runtime.patience import until_answered
from service_runtime.s3 import s3_bucket

from batch_etl.cutting import cut
from batch_etl.errors import ObjectChanged
from batch_etl.settings import BatchSettings
from batch_etl.spark_io import rows_of_tasks

# An object that was verified has all but the last column, one that is set aside the last.
VERIFIED = StructType(
    [
        StructField("object", StringType(), nullable=False),
        StructField("end", LongType()),
        StructField("records", LongType()),
        StructField("line_bytes", LongType()),
        StructField("sha256", StringType()),
        StructField("set_aside", StringType()),
    ]
)
RECORDS = StructType(
    [
        *RAW_RECORD,
        StructField("version", LongType(), nullable=False),
        StructField("object", StringType(), nullable=False),
    ]
)
ARROW_VERIFIED = to_arrow_schema(VERIFIED, timezone="UTC")
ARROW_RECORDS = to_arrow_schema(RECORDS, timezone="UTC")

# Of a Spark task: the objects it verifies or reads, and the bytes of lines it reads.
TASK_OBJECTS = 16
TASK_BYTES = 32 * 1024 * 1024
# A task holds so many bodies and one batch of records at a time.
FETCHED_AT_ONCE = 2
BATCH_BYTES = 1024 * 1024

OpenBucket = Callable[[], AbstractAsyncContextManager[ObjectStore]]


def verified(spark: SparkSession, keys: Sequence[str], settings: BatchSettings) -> DataFrame:
    """What each object holds, or why it is set aside, as a frame of VERIFIED."""
    count = min(len(keys), max(spark.sparkContext.defaultParallelism, -(-len(keys) // TASK_OBJECTS)))
    groups = [keys[start::count] for start in range(count)]
    reader = VerifyingReader(groups, partial(s3_bucket, settings), settings.wait_seconds)
    return rows_of_tasks(spark, len(groups), reader.read, VERIFIED)


def records(spark: SparkSession, objects: Mapping[str, VerifiedObject], settings: BatchSettings) -> DataFrame:
    """The records of verified objects as a frame of RECORDS, read anew each time it is used."""
    groups = task_groups(objects, spark.sparkContext.defaultParallelism)
    reader = RecordReader(groups, partial(s3_bucket, settings), settings.wait_seconds, objects)
    return rows_of_tasks(spark, len(groups), reader.read, RECORDS)


def task_groups(objects: Mapping[str, VerifiedObject], cores: int) -> list[list[str]]:
    """The keys in groups of at most TASK_BYTES, unless one object is more; one a core if possible."""
    keys, sizes = list(objects), [held.line_bytes for held in objects.values()]
    most = min(TASK_BYTES, -(-sum(sizes) // cores))
    return [keys[part] for part in cut(sizes, TASK_OBJECTS, most)]


class ArchiveReader:
    """Fetches objects, a few at a time; what is made of each is the subclass's part."""

    def __init__(self, groups: Sequence[Sequence[str]], open_bucket: OpenBucket, wait_seconds: float) -> None:
        self._groups = groups
        self._open_bucket = open_bucket
        self._wait_seconds = wait_seconds

    def read(self, number: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a group's objects; raises StoreUnavailable."""
        for key, stored in self._fetched(self._groups[number]):
            yield from self.rows(key, stored)

    def rows(self, key: str, stored: StoredObject | None) -> Iterable[pa.RecordBatch]:
        """The rows of one object; `stored` is None when it is no longer there."""
        raise NotImplementedError

    def _fetched(self, keys: Sequence[str]) -> Iterator[tuple[str, StoredObject | None]]:
        with asyncio.Runner() as runner:
            stack = AsyncExitStack()
            try:
                store = runner.run(stack.enter_async_context(self._open_bucket()))
                for start in range(0, len(keys), FETCHED_AT_ONCE):
                    some = keys[start : start + FETCHED_AT_ONCE]
                    yield from zip(some, runner.run(self._fetch(store, some)), strict=True)
            finally:
                runner.run(stack.aclose())

    async def _fetch(self, store: ObjectStore, keys: Sequence[str]) -> list[StoredObject | None]:
        heard = ["no answer"]

        async def fetch(key: str) -> StoredObject | None:
            return await until_answered(lambda: store.get(key), StoreUnavailable, SystemClock(), heard.append)

        try:
            async with asyncio.timeout(self._wait_seconds):
                return await asyncio.gather(*map(fetch, keys))
        except TimeoutError:
            raise StoreUnavailable(
                f"the bucket gave nothing for {self._wait_seconds:g} s: {heard[-1]}"
            ) from None


class VerifyingReader(ArchiveReader):
    """A row an object; one that is corrupt, gone or breaks its reader is set aside by name."""

    def rows(self, key: str, stored: StoredObject | None) -> list[pa.RecordBatch]:
        """The object's row."""
        columns: dict[str, object] = {"object": key}
        try:
            columns |= _found(key, stored)
        except MemoryError:
            raise
        except Exception as error:
            # Whatever one object does to its reader, the others go on.
            columns["set_aside"] = str(error) if isinstance(error, ValueError) else repr(error)
        return [pa.RecordBatch.from_pylist([columns], schema=ARROW_VERIFIED)]


def _found(key: str, stored: StoredObject | None) -> dict[str, object]:
    if stored is None:
        return {"set_aside": "the object was listed, and is no longer there"}
    held = verify(key, stored.body, stored.metadata)
    return asdict(held)


class RecordReader(ArchiveReader):
    """A row a record, of objects that were verified; raises ObjectChanged when one is another by now."""

    def __init__(
        self,
        groups: Sequence[Sequence[str]],
        open_bucket: OpenBucket,
        wait_seconds: float,
        objects: Mapping[str, VerifiedObject],
    ) -> None:
        super().__init__(groups, open_bucket, wait_seconds)
        self._objects = objects

    def rows(self, key: str, stored: StoredObject | None) -> Iterator[pa.RecordBatch]:
        """The rows of the object's records."""
        if stored is None or hashlib.sha256(stored.body).hexdigest() != self._objects[key].sha256:
            raise ObjectChanged(f"{key} is no longer what it was when it was verified")
        yield from _record_batches(key, stored.body)


def _record_batches(key: str, body: bytes) -> Iterator[pa.RecordBatch]:
    held: list[ArchivedRecord] = []
    held_bytes = 0
    for record, line_bytes in records_of(key, body):
        if held and held_bytes + line_bytes > BATCH_BYTES:
            yield _record_rows(key, held)
            held, held_bytes = [], 0
        held.append(record)
        held_bytes += line_bytes
    if held:
        yield _record_rows(key, held)


def _record_rows(key: str, held: Sequence[ArchivedRecord]) -> pa.RecordBatch:
    pins = judged(
        ObjectKey.parse(key).log,
        pa.array([record.timestamp for record in held], pa.timestamp("ms", "UTC")),
        pa.array([record.partition for record in held], pa.int32()),
        pa.array([record.offset for record in held], pa.int64()),
        [record.value for record in held],
    )
    versions = pa.array([record.version for record in held], pa.int64())
    return pa.RecordBatch.from_arrays(
        [*pins.columns, versions, pa.repeat(key, len(held))], schema=ARROW_RECORDS
    )
