"""How a service lives: HTTP beside a worker, stopped in order by SIGTERM or SIGINT."""

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeVar

import structlog
import uvicorn
import uvloop
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from starlette.types import ASGIApp

from service_runtime.http_protocol import HttpProtocol
from service_runtime.logs import configure_logs
from service_runtime.settings import HttpSettings

log = structlog.get_logger(__name__)

Worker = Callable[[asyncio.Event], Awaitable[int | None]]
S = TypeVar("S", bound=HttpSettings)


class CannotListen(Exception):  # noqa: N818 (a state of the machine)
    """The port is taken, or not allowed."""


@dataclass(frozen=True, slots=True)
class Service:
    """The HTTP side of a service, and the worker that runs until its event is set.

    A worker that has an end of its own (a job) returns the exit code of the process.
    """

    app: ASGIApp
    worker: Worker


DRAIN_SECONDS = 10
# Longer than load balancers and pools keep an idle connection (60 s), so that it is theirs to close: what
# they send on one that closes meanwhile is lost.
KEEP_ALIVE_SECONDS = 75


def process_registry() -> CollectorRegistry:
    """Return a registry that already shows this process: CPU, memory, open files, garbage collection."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class _Server(uvicorn.Server):
    """A server that leaves signals to `run_service`: they must reach the worker as well."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def service_main(
    name: str,
    description: str,
    settings_class: type[S],
    opening: Callable[[S], AbstractAsyncContextManager[Service]],
) -> int:
    """Run a service, whose command takes no arguments, as the environment says; return the exit code."""
    argparse.ArgumentParser(prog=name, description=description).parse_args()
    settings = settings_class.load_or_exit()
    configure_logs(name, settings.log_level)
    return run_service(settings, opening(settings))


def run_service(http: HttpSettings, service: AbstractAsyncContextManager[Service]) -> int:
    """Run until a signal or a failure; return the process's exit code.

    On a signal HTTP drains first, since open requests still need the worker; then the worker is asked to
    stop by its event and finishes what it holds. A worker that fails, or ends by itself without an exit code,
    ends the process with code 1: the supervisor restarts it.
    """
    return uvloop.run(_run(http, service))


async def _run(http: HttpSettings, opening: AbstractAsyncContextManager[Service]) -> int:
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    async with opening as service:
        return await _serve(_server(service.app, http), service.worker, signalled)


async def _serve(server: uvicorn.Server, worker: Worker, signalled: asyncio.Event) -> int:
    worker_stop = asyncio.Event()
    serving = asyncio.create_task(_listen(server), name="http")
    working = asyncio.create_task(_named(worker, worker_stop), name="worker")
    waiting = asyncio.create_task(signalled.wait(), name="signal")
    await asyncio.wait({serving, working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    asked = signalled.is_set()
    log.info("stopping", reason="signal" if asked else "a part of the process ended")
    server.should_exit = True
    await asyncio.wait({serving})
    worker_stop.set()
    await asyncio.wait({working})
    waiting.cancel()
    if _failed(serving, working):
        return 1
    code = working.result()
    return (0 if asked else 1) if code is None else code


def _server(app: ASGIApp, http: HttpSettings) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        host=http.http_host,
        port=http.http_port,
        http=HttpProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    return _Server(config)


async def _listen(server: uvicorn.Server) -> None:
    try:
        await server.serve()
    except SystemExit as error:  # uvicorn's word for "cannot bind"; its own log line has the reason
        where = f"{server.config.host}:{server.config.port}"
        raise CannotListen(f"cannot listen on {where}: end what holds it, or set …_HTTP_PORT") from error


async def _named(worker: Worker, stop: asyncio.Event) -> int | None:
    return await worker(stop)


def _failed(*tasks: "asyncio.Task[None] | asyncio.Task[int | None]") -> bool:
    errors = [error for task in tasks if not task.cancelled() and (error := task.exception())]
    for error in errors:
        log.error("a part of the service failed", exc_info=error)
    return bool(errors) or any(task.cancelled() for task in tasks)
