"""Posts pins until each has a final answer."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp

from pin_emulator.answers import Answer, Receipt, read_answer
from pin_emulator.batches import Batches, Pins
from pin_emulator.retry import backoff
from pin_emulator.summary import Summary

REQUEST_TIMEOUT = 10.0
GIVE_UP_AFTER = 120.0

OnReceipts = Callable[[list[tuple[bytes, Receipt]]], None]
OnProgress = Callable[[Summary], None]


class GaveUpError(Exception):
    """Nothing got through for too long; `summary` tells how far the run came."""

    def __init__(self, message: str, summary: Summary) -> None:
        super().__init__(message)
        self.summary = summary


async def post(  # noqa: PLR0913 (each is the caller's choice)
    pins: Pins,
    *,
    url: str,
    connections: int = 64,
    batch_size: int = 1,
    give_up_after: float = GIVE_UP_AFTER,
    stop: asyncio.Event | None = None,
    on_receipts: OnReceipts = lambda _: None,
    on_progress: OnProgress = lambda _: None,
) -> Summary:
    """Post pins, each alone or `batch_size` a request, and return what came of it.

    What may pass is tried again: no connection, no answer within 10 s, 429 and 5xx. A request whose answer
    got lost may have been stored, so a pin can be stored twice, but none counts as posted without a receipt.
    Once `stop` is set no request is sent any more; the run sets it itself when it gives up, so that a paced
    source ends. Raises GaveUpError after `give_up_after` seconds without any progress.
    """
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT)
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        run = _Run(
            session=session,
            batches=Batches(pins, batch_size),
            endpoint=url.rstrip("/") + ("/pin/" if batch_size == 1 else "/pins"),
            in_batches=batch_size > 1,
            patience=give_up_after,
            stop=stop or asyncio.Event(),
            on_receipts=on_receipts,
            on_progress=on_progress,
        )
        await _together([asyncio.create_task(run.work()) for _ in range(connections)])
    run.summary.clock()
    if run.gave_up:
        raise GaveUpError(run.gave_up, run.summary)
    return run.summary


async def _together(workers: list[asyncio.Task[None]]) -> None:
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


@dataclass
class _Run:
    session: aiohttp.ClientSession
    batches: Batches
    endpoint: str
    in_batches: bool
    patience: float
    stop: asyncio.Event
    on_receipts: OnReceipts
    on_progress: OnProgress
    summary: Summary = field(default_factory=Summary)
    gave_up: str | None = None
    last_progress: float = 0.0

    async def work(self) -> None:
        """Post batch after batch, each until it has its final answer."""
        while (batch := await self.batches.next()) and not self.stop.is_set():
            await self._settle(batch)

    async def _settle(self, batch: list[bytes]) -> None:
        begun = time.monotonic()
        failures = 0
        while True:
            answer = await self._ask(batch)
            left = self._record(batch, answer)
            if not left:
                return
            failures = failures + 1 if len(left) == len(batch) else 0
            batch = left
            await self._pause(answer, failures, begun)
            if self.stop.is_set():
                self.summary.unconfirmed += len(batch)
                return

    async def _ask(self, batch: list[bytes]) -> Answer:
        kind = "application/x-ndjson" if self.in_batches else "application/json"
        body = b"\n".join(batch)
        start = time.perf_counter()
        try:
            async with self.session.post(
                self.endpoint, data=body, headers={"Content-Type": kind}, allow_redirects=False
            ) as response:
                text = await response.read()
        except aiohttp.InvalidURL:
            raise
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer([None] * len(batch), cause=_cause(error))
        answer = read_answer(response.status, response.headers, text, len(batch), batch=self.in_batches)
        if all(answer.receipts):
            self.summary.latencies.add(1_000 * (time.perf_counter() - start))
        return answer

    def _record(self, batch: list[bytes], answer: Answer) -> list[bytes]:
        """Count what the answer settles, and return the pins it leaves open."""
        pairs = list(zip(batch, answer.receipts, strict=True))
        stored = [(pin, receipt) for pin, receipt in pairs if receipt is not None]
        left = [pin for pin, receipt in pairs if receipt is None]
        self.summary.posted += len(stored)
        if stored:
            self.on_receipts(stored)
        if left and answer.refusal:
            self.summary.refuse(len(left), answer.refusal)
            left = []
        if len(left) < len(batch):
            self.last_progress = time.monotonic()
        self.summary.see(answer.cause if left else None)
        self.on_progress(self.summary)
        return left

    async def _pause(self, answer: Answer, failures: int, begun: float) -> None:
        """Wait before the next try, or give up; waiting for pins to post is no lack of progress."""
        patience_ends = max(begun, self.last_progress) + self.patience
        left = patience_ends - time.monotonic()
        if left <= 0:
            self.gave_up = f"nothing got through to {self.endpoint} for {self.patience:g} s: {answer.cause}"
            self.stop.set()
            return
        # A little is added to the server's wait, so that the connections do not all come back at once.
        wait = backoff(failures) if answer.wait is None else answer.wait + backoff(0)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), min(wait, left))


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {REQUEST_TIMEOUT:g} s"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection"
    return "connection lost"
