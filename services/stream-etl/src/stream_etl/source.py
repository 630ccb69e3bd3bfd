"""The topic as a stream of judged records."""

from collections.abc import Callable, Iterator

import pyarrow as pa
from pin_schema.spark_records import judged
from pin_schema.spark_types import RAW_RECORD
from pin_schema.wire import MAX_PIN_BYTES
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads
from service_runtime.kafka import SASL_MECHANISM
from service_runtime.settings import KafkaSettings

from stream_etl.settings import StreamSettings
from stream_etl.windows import WATERMARK_DELAY, interval

# A fetch is bounded in compressed bytes, and what it holds may be a thousand times as long: so many of its
# records are in memory at once. Fewer cost time: with every poll Spark asks for the log's ends and fetches
# again.
POLL_RECORDS = 100
FETCH_BYTES = 256 * 1024
LOGIN_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"


Batches = Iterator[pa.RecordBatch]


def topic_records(spark: SparkSession, settings: StreamSettings, log: str, max_records: int) -> DataFrame:
    """Rows of RAW_RECORD from the log's start on; every record moves the watermark, whatever it holds.

    `log` is the name of the log that the topic has: Spark reads by the topic's name alone.
    """
    kafka = spark.readStream.format("kafka").options(
        **{
            **client_options(settings),
            "subscribe": settings.kafka_topic,
            "startingOffsets": "earliest",
            "failOnDataLoss": "true",
            "maxOffsetsPerTrigger": str(max_records),
            "kafka.max.poll.records": str(POLL_RECORDS),
            "kafka.max.partition.fetch.bytes": str(FETCH_BYTES),
        }
    )
    # A byte more than a pin may have shows that it is none, and the rest goes no further.
    value = F.substring("value", 1, MAX_PIN_BYTES + 1).alias("value")
    records = kafka.load().select("timestamp", "partition", "offset", value)
    return records.mapInArrow(_judged(log), RAW_RECORD).withWatermark("event_time", interval(WATERMARK_DELAY))


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


def _judged(log: str) -> Callable[[Batches], Batches]:
    def rows(batches: Batches) -> Batches:
        for batch in batches:
            times, partitions, offsets, values = batch.columns
            yield judged(log, times, partitions, offsets, values.to_pylist())

    return rows
