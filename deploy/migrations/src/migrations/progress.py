"""What the migrations say, one structured line each, and whether they act or only say."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")
RETRY_SECONDS = 1.0
REPEAT_SECONDS = 15.0


def configure_log() -> None:
    """Send lines of `key=value` to stdout."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.EventRenamer("message"),
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "message"], drop_missing=True
            ),
        ],
        logger_factory=structlog.PrintLoggerFactory(),
    )


@dataclass(frozen=True)
class Plan:
    """Names each change before it is made; in a dry run the name is all there is."""

    dry_run: bool

    def does(self, change: str, **details: object) -> bool:
        """Say what is changed, and return whether to change it."""
        log.info(f"would {change}" if self.dry_run else change, **details)
        return not self.dry_run


async def until_it_answers(
    server: str, address: str, attempt: Callable[[], Awaitable[T]], not_yet: tuple[type[Exception], ...]
) -> T:
    """Repeat the attempt while it raises one of `not_yet`; say what is waited for when that changes."""
    said, said_at = "", 0.0
    clock = asyncio.get_running_loop().time
    while True:
        try:
            return await attempt()
        except not_yet as error:
            reason = f"{type(error).__name__}: {error}"
            if reason != said or clock() - said_at > REPEAT_SECONDS:
                log.info(f"waiting for {server}", address=address, because=reason)
                said, said_at = reason, clock()
        await asyncio.sleep(RETRY_SECONDS)
