"""The routes every long-running service has: /health/live, /health/ready and /metrics."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service_runtime.readiness import Readiness


def health_routes(readiness: Readiness, registry: CollectorRegistry) -> list[Route]:
    """Routes for probes and Prometheus; ready answers 503 while a dependency is awaited."""

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(_: Request) -> Response:
        return JSONResponse(readiness.report(), status_code=200 if readiness.is_ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [
        Route("/health/live", live, include_in_schema=False),
        Route("/health/ready", ready, include_in_schema=False),
        Route("/metrics", metrics, include_in_schema=False),
    ]
