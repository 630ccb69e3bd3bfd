"""Whatever a client sends, ingest-api answers as its OpenAPI document says, and never with a 5xx."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from ingest_api.app import create_ingest
from ingest_api.settings import IngestSettings
from prometheus_client import CollectorRegistry
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from service_runtime.clock import SystemClock
from service_runtime.testing.broker import InMemoryBroker


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The service on the fake broker, behind a real HTTP server in a thread of its own."""
    broker = InMemoryBroker(SystemClock(), {"pins": 3})
    service = create_ingest(IngestSettings(), broker.producer(), CollectorRegistry())
    server = uvicorn.Server(uvicorn.Config(service.app, port=0, lifespan="off", log_config=None))

    async def serve() -> None:
        stop = asyncio.Event()
        working = asyncio.ensure_future(service.worker(stop))
        await server.serve()
        stop.set()
        await working

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_the_service_keeps_its_contract(url: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == 2
    for operation in operations:

        @settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def holds(case: Any) -> None:
            answer = case.call()
            # JSON Schema has no words for some rules (an integer written 1.0, NUL, nesting), so that a
            # request it allows may still be refused; never the other way round.
            case.validate_response(
                answer, excluded_checks=[positive_data_acceptance, negative_data_rejection]
            )
            assert answer.status_code < 500
            assert mode is not GenerationMode.NEGATIVE or answer.status_code >= 400

        holds()
