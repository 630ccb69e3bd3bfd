"""The service, wired: settings in, routes and the publisher behind them out."""

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from service_runtime.broker import BatchProducer
from service_runtime.health import health_routes
from service_runtime.readiness import Readiness
from service_runtime.service import Service
from starlette.exceptions import HTTPException

from ingest_api.metrics import IngestMetrics
from ingest_api.openapi import describe
from ingest_api.problems import answer_bug, answer_http_exception
from ingest_api.publisher import Publisher
from ingest_api.routes import PinRoutes
from ingest_api.settings import IngestSettings


def create_ingest(settings: IngestSettings, producer: BatchProducer, registry: CollectorRegistry) -> Service:
    """Wire the service; nothing connects before the publisher runs."""
    readiness = Readiness(registry)
    metrics = IngestMetrics(registry)
    publisher = Publisher(producer, settings, readiness.dependency("kafka"), metrics)
    routes = PinRoutes(publisher, settings, metrics)
    # A redirect would name the scheme and the port that a proxy in front has hidden from us.
    app = FastAPI(
        redirect_slashes=False,
        exception_handlers={HTTPException: answer_http_exception, Exception: answer_bug},
    )
    # Plain routes: FastAPI's own would parse and validate the body a second time.
    for path in ("/pin/", "/pin"):
        app.add_route(path, routes.measured("/pin/", routes.post_pin), methods=["POST"])
    for path in ("/pins", "/pins/"):
        app.add_route(path, routes.measured("/pins", routes.post_pins), methods=["POST"])
    app.router.routes.extend(health_routes(readiness, registry))
    describe(app)
    return Service(app, publisher.run)
