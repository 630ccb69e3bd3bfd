"""The topic as a stream of judged records."""

from collections.abc import Iterator

import pyarrow as pa
from pin_schema.spark_records import judged
from pin_schema.spark_types import RAW_RECORD
from pyspark.sql import DataFrame, SparkSession
from service_runtime.kafka import SASL_MECHANISM
from service_runtime.settings import KafkaSettings

from stream_etl.settings import StreamSettings
from stream_etl.windows import WATERMARK_DELAY, interval

LOGIN_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"


def topic_records(spark: SparkSession, settings: StreamSettings, max_records: int) -> DataFrame:
    """Rows of RAW_RECORD from the log's start on; every record moves the watermark, whatever it holds."""
    kafka = spark.readStream.format("kafka").options(
        **{
            **client_options(settings),
            "subscribe": settings.kafka_topic,
            "startingOffsets": "earliest",
            "failOnDataLoss": "true",
            "maxOffsetsPerTrigger": str(max_records),
        }
    )
    records = kafka.load().select("timestamp", "partition", "offset", "value")
    return records.mapInArrow(_judged, RAW_RECORD).withWatermark("event_time", interval(WATERMARK_DELAY))


def client_options(kafka: KafkaSettings) -> dict[str, str]:
    """Return the connector's options for reaching the brokers and logging in."""
    protocol, password = kafka.kafka_security_protocol, kafka.kafka_password
    options = {"bootstrap.servers": kafka.kafka_bootstrap_servers, "security.protocol": protocol}
    if password is not None:
        login = (
            f"username={_quoted(kafka.kafka_username or '')} password={_quoted(password.get_secret_value())}"
        )
        options |= {"sasl.mechanism": SASL_MECHANISM, "sasl.jaas.config": f"{LOGIN_MODULE} required {login};"}
    if protocol.endswith("SSL") and kafka.kafka_ca_file:
        options |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(kafka.kafka_ca_file)}
    return {f"kafka.{name}": value for name, value in options.items()}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").replace("\r", r"\r")
    return f'"{escaped}"'


def _judged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        times, partitions, offsets, values = batch.columns
        yield judged(times, partitions, offsets, values.to_pylist())
