"""The run as the worker of a service: it ends by itself, or when somebody asks."""

import asyncio
import signal
from collections.abc import Callable

import structlog
from prometheus_client import CollectorRegistry, pushadd_to_gateway
from prometheus_client.exposition import basic_auth_handler, default_handler
from service_runtime.clock import SystemClock

from batch_etl.exits import Exit
from batch_etl.job import Job
from batch_etl.metrics import BatchMetrics
from batch_etl.outcome import Run
from batch_etl.settings import BatchSettings
from batch_etl.stopping import Stopping
from batch_etl.verdict import blame

log = structlog.get_logger(__name__)

PUSH_SECONDS = 5
ACCOUNT = "batch-etl"


class Worker:
    """Executes a job, turns its end into an exit code and tells the metrics."""

    def __init__(self, job: Job, run: Run, registry: CollectorRegistry, settings: BatchSettings) -> None:
        self._job = job
        self._run = run
        self._registry = registry
        self._settings = settings
        self._asked_by = Exit.TERMINATED

    async def work(self, stop: asyncio.Event) -> int:
        """Execute until the end or a signal; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # In place of the service's own handlers: the exit code of a job says which signal it was.
            loop.add_signal_handler(number, self._ask, number, stop)
        return await self.execute(stop)

    async def execute(self, stop: asyncio.Event) -> int:
        """Execute until the end or the event; return the exit code."""
        await self._until_end(stop, self._job.stopping)
        if not self._job.is_dry_run:
            BatchMetrics(self._registry).tell(self._run, SystemClock().now())
            await asyncio.to_thread(self._push)
        return self._run.exit

    def _ask(self, number: int, stop: asyncio.Event) -> None:
        self._asked_by = Exit(128 + number)
        stop.set()

    async def _until_end(self, stop: asyncio.Event, stopping: Stopping) -> None:
        executing = asyncio.create_task(self._job.execute())
        asked = asyncio.create_task(stop.wait())
        await asyncio.wait({executing, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not executing.done():
            stopping.ask(self._asked_by)
            executing.cancel()
        asked.cancel()
        try:
            await executing
        except (Exception, asyncio.CancelledError) as error:
            blame(self._run, error, stopping)
            code = int(self._run.exit)
            if stopping.exit is None:
                log.exception("the run failed", why=self._run.error, exit_code=code)
            else:
                log.warning("the run was stopped: what it did not record the next run loads", exit_code=code)

    def _push(self) -> None:
        if self._settings.pushgateway_url is None:
            return
        try:
            pushadd_to_gateway(
                str(self._settings.pushgateway_url),
                job="batch-etl",
                registry=self._registry,
                timeout=PUSH_SECONDS,
                handler=self._logged_in,
            )
        except OSError as error:
            log.warning("the metrics of this run are not in the Pushgateway", why=str(error))

    def _logged_in(
        self, url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
    ) -> Callable[[], None]:
        """Send a push with the login, where there is one."""
        password = self._settings.pushgateway_password
        if password is None:
            return default_handler(url, method, timeout, headers, data)
        login = (ACCOUNT, password.get_secret_value())
        return basic_auth_handler(url, method, timeout, headers, data, *login)
