"""Our ends of Spark: data sources that carry what they need with them."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.datasource import DataSource, DataSourceArrowWriter, DataSourceReader
from pyspark.sql.types import StructType


def read_with(spark: SparkSession, name: str, reader: DataSourceReader, columns: StructType) -> DataFrame:
    """A frame of what the reader yields, read anew each time it is used."""

    # Made here, so that it is pickled whole, its reader with it: options would show secrets in Spark's plans.
    class Source(DataSource):
        @classmethod
        def name(cls) -> str:
            return name

        def schema(self) -> StructType:
            return columns

        def reader(self, schema: StructType) -> DataSourceReader:  # noqa: ARG002
            return reader

    spark.dataSource.register(Source)
    return spark.read.format(name).load()


def write_with(rows: DataFrame, name: str, writer: DataSourceArrowWriter) -> None:
    """Hand the rows to the writer, a task each partition, and then to its `commit`."""

    class Sink(DataSource):
        @classmethod
        def name(cls) -> str:
            return name

        def writer(self, schema: StructType, overwrite: bool) -> DataSourceArrowWriter:  # noqa: ARG002
            return writer

    rows.sparkSession.dataSource.register(Sink)
    rows.write.format(name).mode("append").save()
