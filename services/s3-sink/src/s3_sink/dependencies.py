"""What the archivers of a process share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from service_runtime.broker import GroupConsumer
from service_runtime.clock import Clock

from s3_sink.archive import Archive
from s3_sink.dead_letters import DeadLetters

T = TypeVar("T")


class InThread(Protocol):
    """Runs a function beside the event loop, as `asyncio.to_thread` does."""

    async def __call__(self, function: Callable[..., T], /, *arguments: Any) -> T:
        """Return what the function returns."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What an archiver reads from, writes to and works with."""

    consumer: GroupConsumer
    archive: Archive
    dead_letters: DeadLetters
    clock: Clock
    in_thread: InThread
