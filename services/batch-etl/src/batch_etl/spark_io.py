"""Rows that Spark's tasks make: each is given a number, and knows what that stands for."""

from collections.abc import Callable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType


def rows_of_tasks(
    spark: SparkSession, count: int, rows: Callable[[int], Iterator[pa.RecordBatch]], columns: StructType
) -> DataFrame:
    """A frame of `rows(0)`, `rows(1)` … `rows(count - 1)`, a task each, made anew each time it is used."""

    # Not a DataSource of Spark's: it would start five more Pythons to plan it, 14 s of a core.
    def read(numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                yield from rows(number)

    return spark.range(0, count, numPartitions=count).mapInArrow(read, columns)
