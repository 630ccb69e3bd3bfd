"""The archive as a frame: whole objects, each verified before it yields a row."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from pin_schema.archive import ArchivedRecord, ObjectMetadata, decode_object
from pin_schema.spark_records import judged
from pin_schema.spark_types import RAW_RECORD
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.datasource import DataSourceReader, InputPartition
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import LongType, StringType, StructField, StructType
from service_runtime.clock import SystemClock
from service_runtime.object_store import ObjectStore, StoredObject, StoreUnavailable
from service_runtime.patience import until_answered
from service_runtime.s3 import s3_bucket

from batch_etl.settings import BatchSettings
from batch_etl.spark_io import read_with

# Each record is a row, and so is each object, behind its records: its `object_…` columns are then set, or
# `set_aside` says why there are no records. So every column of a record may be null.
OBJECT_COLUMNS = ("object_end", "object_sha256", "object_records", "set_aside")
LOADED = StructType(
    [
        *(StructField(column.name, column.dataType) for column in RAW_RECORD),
        StructField("object", StringType(), nullable=False),
        StructField("object_end", LongType()),
        StructField("object_sha256", StringType()),
        StructField("object_records", LongType()),
        StructField("set_aside", StringType()),
    ]
)
ARROW_LOADED = to_arrow_schema(LOADED, timezone="UTC")

OBJECTS_A_TASK = 16
FETCHED_AT_ONCE = 4
ROWS_A_BATCH = 10_000

OpenBucket = Callable[[], AbstractAsyncContextManager[ObjectStore]]


def grouped(keys: Sequence[str], cores: int) -> list[Sequence[str]]:
    """Balanced groups of keys, a Spark task each: one a core, or more so that none is long to repeat."""
    count = min(len(keys), max(cores, -(-len(keys) // OBJECTS_A_TASK)))
    return [keys[start::count] for start in range(count)]


def archive(spark: SparkSession, keys: Sequence[str], settings: BatchSettings) -> DataFrame:
    """The objects as a frame of LOADED, read anew each time it is used."""
    groups = grouped(keys, spark.sparkContext.defaultParallelism)
    # What follows is as much work as reading: as many tasks fit it.
    spark.conf.set("spark.sql.shuffle.partitions", len(groups))
    reader = ArchiveReader(groups, partial(s3_bucket, settings), settings.wait_seconds)
    return read_with(spark, "pins_archive", reader, LOADED)


@dataclass(frozen=True)
class KeyGroup(InputPartition):
    """The objects of one Spark task."""

    keys: Sequence[str]


class ArchiveReader(DataSourceReader):
    """Reads objects; one that is corrupt or gone is set aside by name, and the rest goes on."""

    def __init__(self, groups: Sequence[Sequence[str]], open_bucket: OpenBucket, wait_seconds: float) -> None:
        self._groups = groups
        self._open_bucket = open_bucket
        self._wait_seconds = wait_seconds

    def partitions(self) -> Sequence[KeyGroup]:
        """The groups, a task each."""
        return [KeyGroup(keys) for keys in self._groups]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield LOADED for the objects of a KeyGroup; raises StoreUnavailable."""
        if not isinstance(partition, KeyGroup):
            raise TypeError(f"found {partition!r}, which `partitions` has not made")
        for key, stored in self._fetched(partition.keys):
            yield from rows_of(key, stored)

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


def rows_of(key: str, stored: StoredObject | None) -> list[pa.RecordBatch]:
    """The object's records and then its own row; or its own row alone, with why it is set aside."""
    if stored is None:
        return [_own_row(object=key, set_aside="the object was listed, and is no longer there")]
    try:
        records = decode_object(key, stored.body, stored.metadata)
        said = ObjectMetadata.from_dict(stored.metadata)
        batches = [
            _record_rows(key, records[start : start + ROWS_A_BATCH])
            for start in range(0, len(records), ROWS_A_BATCH)
        ]
    except ValueError as error:
        return [_own_row(object=key, set_aside=str(error))]
    own = _own_row(object=key, object_end=said.end, object_sha256=said.sha256, object_records=said.count)
    return [*batches, own]


def _record_rows(key: str, records: Sequence[ArchivedRecord]) -> pa.RecordBatch:
    pins = judged(
        pa.array([record.timestamp for record in records], pa.timestamp("ms", "UTC")),
        pa.array([record.partition for record in records], pa.int32()),
        pa.array([record.offset for record in records], pa.int64()),
        [record.value for record in records],
    )
    nothing = [pa.nulls(len(records), ARROW_LOADED.field(name).type) for name in OBJECT_COLUMNS]
    return pa.RecordBatch.from_arrays(
        [*pins.columns, pa.repeat(key, len(records)), *nothing], schema=ARROW_LOADED
    )


def _own_row(**columns: str | int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([columns], schema=ARROW_LOADED)
