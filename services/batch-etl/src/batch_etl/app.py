"""The whole job wired: settings and request in, health routes and the run beside them out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service_runtime.health import health_routes
from service_runtime.readiness import Readiness
from service_runtime.s3 import s3_bucket
from service_runtime.service import Service, process_registry
from starlette.applications import Starlette

from batch_etl.engine import running_spark
from batch_etl.job import Job, Request
from batch_etl.neighbours import Neighbours
from batch_etl.outcome import Run
from batch_etl.settings import BatchSettings
from batch_etl.steps import Display
from batch_etl.worker import Worker


@asynccontextmanager
async def batch_service(
    settings: BatchSettings, request: Request, run: Run, display: Display
) -> AsyncIterator[Service]:
    """Wire the job to the real bucket; the other neighbours are met by the run itself."""
    registry = process_registry()
    readiness = Readiness(registry)
    neighbours = Neighbours(readiness, settings.wait_seconds)
    async with s3_bucket(settings) as store:
        job = Job(request, run, settings, store, neighbours, display, running_spark)
        worker = Worker(job, run, registry, settings)
        yield Service(Starlette(routes=health_routes(readiness, registry)), worker.work)
