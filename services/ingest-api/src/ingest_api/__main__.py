"""`ingest-api`: serve until SIGTERM."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service_runtime.kafka_producer import KafkaProducer
from service_runtime.service import Service, process_registry, service_main

from ingest_api.app import create_ingest
from ingest_api.settings import IngestSettings


def main() -> int:
    """Run the service; return the exit code."""
    description = "POST /pin/ and /pins into Kafka. Configured by INGEST_* variables, see the README."
    return service_main("ingest-api", description, IngestSettings, ingest_service)


@asynccontextmanager
async def ingest_service(settings: IngestSettings) -> AsyncIterator[Service]:
    """Wire the service to the real broker."""
    producer = KafkaProducer(
        settings,
        compression=None if settings.compression == "none" else settings.compression,
        max_batch_bytes=settings.batch_max_bytes,
    )
    yield create_ingest(settings, producer, process_registry())


if __name__ == "__main__":
    raise SystemExit(main())
