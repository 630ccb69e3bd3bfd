"""`ingest-api`: serve until SIGTERM."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service_runtime.kafka_producer import KafkaProducer
from service_runtime.logs import configure_logs
from service_runtime.service import Service, process_registry, run_service

from ingest_api.app import create_ingest
from ingest_api.settings import IngestSettings


def main() -> int:
    """Run the service as the environment describes it; return the exit code."""
    argparse.ArgumentParser(
        prog="ingest-api",
        description="POST /pin/ and /pins into Kafka. Configured by INGEST_* variables, see the README.",
    ).parse_args()
    settings = IngestSettings.load_or_exit()
    configure_logs("ingest-api", settings.log_level)
    return run_service(settings, ingest_service(settings))


@asynccontextmanager
async def ingest_service(settings: IngestSettings) -> AsyncIterator[Service]:
    """Wire the service to the real broker."""
    producer = KafkaProducer(
        settings.kafka_bootstrap_servers,
        compression=None if settings.compression == "none" else settings.compression,
        max_batch_bytes=settings.batch_max_bytes,
    )
    yield create_ingest(settings, producer, process_registry())


if __name__ == "__main__":
    raise SystemExit(main())
