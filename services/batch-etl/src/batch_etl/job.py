"""A run from its start to its end: wait, list, load, record."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass

from pin_schema.archive import PREFIX
from redis.asyncio import Redis
from redis.exceptions import RedisError
from service_runtime.cassandra import NOT_NOW
from service_runtime.object_store import ObjectStore, StoreUnavailable

from batch_etl.days import Days
from batch_etl.engine import OpenSpark
from batch_etl.exits import Exit
from batch_etl.ledger import RUNNING_SECONDS, Ledger, open_ledger
from batch_etl.loading import Loading
from batch_etl.neighbours import Neighbours
from batch_etl.outcome import Run
from batch_etl.settings import BatchSettings
from batch_etl.steps import Display, Steps
from batch_etl.stopping import Stopping
from batch_etl.work import Work, archive_keys, work_of

CANCEL_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line."""

    days: Days
    full: bool = False
    staging: str = "none"
    dry_run: bool = False


class Job:
    """Fills in a run."""

    def __init__(
        self,
        request: Request,
        run: Run,
        settings: BatchSettings,
        store: ObjectStore,
        neighbours: Neighbours,
        display: Display,
        open_spark: OpenSpark,
    ) -> None:
        self.stopping = Stopping()
        self.is_dry_run = request.dry_run
        self._steps = Steps(display, self.stopping, run.seconds)
        self._request = request
        self._run = run
        self._store = store
        self._neighbours = neighbours
        self._settings = settings
        self._open_spark = open_spark

    async def execute(self) -> None:
        """Do what was asked; raises what ended it early. Cancelled, it ends Spark's jobs first."""
        with ExitStack() as stack:
            with self._steps("wait"):
                ledger = await self._wait(stack)
            with self._steps("list") as notes:
                work = await self._work(ledger)
                self._run.planned, self._run.set_aside = work.by_day(), dict(work.set_aside)
                notes["objects"] = len(work.objects)
            if not work.objects and not work.set_aside:
                self._run.exit = Exit.NOTHING_TO_DO
            elif self.is_dry_run:
                self._run.exit = Exit.SET_ASIDE if work.set_aside else Exit.DONE
            else:
                loading = Loading(self._settings, self._steps, self.stopping, self._open_spark)
                await self._load(loading, work, ledger)

    async def _wait(self, stack: ExitStack) -> Ledger:
        def opened() -> Ledger:
            return stack.enter_context(open_ledger(self._settings, self.stopping))

        ask = self._neighbours.answer
        await ask("s3", lambda: self._store.list_folders(PREFIX), (StoreUnavailable,))
        if self._request.staging == "redis":
            await ask("redis", self._ping, (RedisError, OSError))
        return await ask("cassandra", lambda: asyncio.to_thread(opened), NOT_NOW)

    async def _ping(self) -> None:
        async with Redis.from_url(self._settings.redis_url.get_secret_value()) as client:
            await client.ping()

    async def _work(self, ledger: Ledger) -> Work:
        days = self._request.days
        keys = await self._neighbours.answer(
            "s3", lambda: archive_keys(self._store, days), (StoreUnavailable,)
        )
        work = work_of(keys)
        if self._request.full:
            return work
        return work.without(await asyncio.to_thread(ledger.loaded, work.partitions))

    async def _load(self, loading: Loading, work: Work, ledger: Ledger) -> None:
        thread = asyncio.create_task(asyncio.to_thread(loading.run, self._run, work, ledger))
        try:
            while not (await asyncio.wait({thread}, timeout=RUNNING_SECONDS / 4))[0]:
                ledger.running(self._run)
            await thread
        except asyncio.CancelledError:
            while not thread.done():
                loading.cancel()
                await asyncio.wait({thread}, timeout=CANCEL_AGAIN_SECONDS)
            thread.result()
