from prometheus_client import CollectorRegistry
from service_runtime.health import health_routes
from service_runtime.readiness import Readiness
from service_runtime.testing.clock import FakeClock
from starlette.applications import Starlette
from starlette.testclient import TestClient


async def test_ready_names_what_is_awaited_since_when_and_why() -> None:
    clock = FakeClock(now=0.0)
    registry = CollectorRegistry()
    readiness = Readiness(registry, clock)
    client = TestClient(Starlette(routes=health_routes(readiness, registry)))
    kafka, s3 = readiness.dependency("kafka"), readiness.dependency("s3")
    await clock.advance(1)
    kafka.up()
    await clock.advance(1)
    s3.down("connection refused")
    s3.down("timed out")

    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "waiting",
        "dependencies": {
            "kafka": {"state": "up", "since": "1970-01-01T00:00:01.000+00:00"},
            "s3": {"state": "waiting", "since": "1970-01-01T00:00:00.000+00:00", "why": "timed out"},
        },
    }
    assert s3.down_seconds == 2.0
    assert 'pinflow_dependency_up{dependency="kafka"} 1.0' in client.get("/metrics").text

    s3.up()
    assert client.get("/health/ready").status_code == 200
    assert client.get("/health/live").json() == {"status": "live"}


async def test_a_dependency_that_moved_away_no_longer_counts() -> None:
    readiness = Readiness(CollectorRegistry(), FakeClock())
    readiness.dependency("pins-3").down("catching up")
    readiness.forget("pins-3")
    assert readiness.is_ready
