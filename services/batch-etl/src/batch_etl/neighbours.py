"""Waiting for the job's neighbours, each named in /health/ready while it is awaited."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service_runtime.clock import SystemClock
from service_runtime.patience import until_answered
from service_runtime.readiness import Readiness

from batch_etl.errors import DependencyAway

T = TypeVar("T")


class _NotNow(Exception):  # noqa: N818 (a state of the world)
    """A neighbour gave no answer."""


class Neighbours:
    """Asks neighbours for at most `wait_seconds` each."""

    def __init__(self, readiness: Readiness, wait_seconds: float) -> None:
        self._readiness = readiness
        self._wait_seconds = wait_seconds

    async def answer(
        self, name: str, ask: Callable[[], Awaitable[T]], not_now: tuple[type[Exception], ...]
    ) -> T:
        """Return the first answer; raises DependencyAway when only `not_now` came."""
        dependency = self._readiness.dependency(name)

        async def asked() -> T:
            try:
                return await ask()
            except not_now as error:
                raise _NotNow(str(error) or type(error).__name__) from error

        try:
            async with asyncio.timeout(self._wait_seconds):
                answer = await until_answered(asked, _NotNow, SystemClock(), dependency.down)
        except TimeoutError:
            why = f"{name} stayed away for {self._wait_seconds:g} s: {dependency.why}"
            raise DependencyAway(f"{why}. Run again when it is back") from None
        dependency.up()
        return answer
