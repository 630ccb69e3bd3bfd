"""`s3-sink`: archive until SIGTERM."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service_runtime.clock import SystemClock
from service_runtime.kafka_consumer import KafkaGroupConsumer
from service_runtime.kafka_producer import KafkaProducer
from service_runtime.s3 import s3_bucket
from service_runtime.service import Service, process_registry, service_main

from s3_sink.app import create_sink
from s3_sink.settings import SinkSettings

DEAD_LETTER_BATCH_BYTES = 256 * 1024


def main() -> int:
    """Run the service; return the exit code."""
    description = "Archives the pins topic into S3. Configured by SINK_* variables, see the README."
    return service_main("s3-sink", description, SinkSettings, sink_service)


@asynccontextmanager
async def sink_service(settings: SinkSettings) -> AsyncIterator[Service]:
    """Wire the service to the real broker and bucket."""
    consumer = KafkaGroupConsumer(
        settings,
        group=settings.kafka_group,
        instance=settings.kafka_instance,
        max_fetch_bytes=settings.fetch_max_bytes,
    )
    producer = KafkaProducer(settings, compression="zstd", max_batch_bytes=DEAD_LETTER_BATCH_BYTES)
    async with s3_bucket(settings) as bucket:
        try:
            yield create_sink(
                settings, consumer, producer, bucket, SystemClock(), process_registry(), asyncio.to_thread
            )
        finally:
            await producer.stop()


if __name__ == "__main__":
    raise SystemExit(main())
