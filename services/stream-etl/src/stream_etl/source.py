"""The topic as a stream of judged records."""

from collections.abc import Iterator

import pyarrow as pa
from pin_schema.spark_records import judged
from pin_schema.spark_types import RAW_RECORD
from pyspark.sql import DataFrame, SparkSession

from stream_etl.settings import StreamSettings
from stream_etl.windows import WATERMARK_DELAY, interval


def topic_records(spark: SparkSession, settings: StreamSettings, max_records: int) -> DataFrame:
    """Rows of RAW_RECORD from the log's start on; every record moves the watermark, whatever it holds."""
    kafka = spark.readStream.format("kafka").options(
        **{
            "kafka.bootstrap.servers": settings.kafka_bootstrap_servers,
            "subscribe": settings.kafka_topic,
            "startingOffsets": "earliest",
            "failOnDataLoss": "true",
            "maxOffsetsPerTrigger": str(max_records),
        }
    )
    records = kafka.load().select("timestamp", "partition", "offset", "value")
    return records.mapInArrow(_judged, RAW_RECORD).withWatermark("event_time", interval(WATERMARK_DELAY))


def _judged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        times, partitions, offsets, values = batch.columns
        yield judged(times, partitions, offsets, values.to_pylist())
