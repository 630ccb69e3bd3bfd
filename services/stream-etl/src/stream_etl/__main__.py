"""`stream-etl`: keep the live windows until SIGTERM."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service_runtime.clock import SystemClock
from service_runtime.service import Service, process_registry, service_main

from stream_etl.app import create_stream
from stream_etl.postgres import postgres_pool
from stream_etl.settings import StreamSettings


def main() -> int:
    """Run the service; return the exit code."""
    description = "Keeps live windows in PostgreSQL. Configured by STREAM_* variables, see the README."
    return service_main("stream-etl", description, StreamSettings, stream_service)


@asynccontextmanager
async def stream_service(settings: StreamSettings) -> AsyncIterator[Service]:
    """Wire the service to the real broker and database."""
    async with postgres_pool(str(settings.postgres_dsn)) as postgres:
        yield create_stream(settings, postgres, SystemClock(), process_registry())


if __name__ == "__main__":
    raise SystemExit(main())
