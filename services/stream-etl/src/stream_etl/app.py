"""The whole service wired: settings in, health routes and the job beside them out."""

from prometheus_client import CollectorRegistry
from service_runtime.clock import Clock
from service_runtime.health import health_routes
from service_runtime.readiness import Readiness
from service_runtime.service import Service
from starlette.applications import Starlette

from stream_etl.job import Job
from stream_etl.metrics import StreamMetrics
from stream_etl.postgres import Postgres
from stream_etl.settings import StreamSettings
from stream_etl.topic import Topic
from stream_etl.writer import Writer


def create_stream(
    settings: StreamSettings, postgres: Postgres, clock: Clock, registry: CollectorRegistry
) -> Service:
    """Wire the service; nothing connects before the job runs."""
    readiness = Readiness(registry, clock)
    metrics = StreamMetrics(registry)
    topic = Topic(settings)
    writer = Writer(postgres, readiness.dependency("postgres"), clock, metrics)
    job = Job(settings, topic, writer, readiness, clock, metrics)
    return Service(Starlette(routes=health_routes(readiness, registry)), job.run)
