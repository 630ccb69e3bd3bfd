"""Waits until a stack has come to rest, and shows its events meanwhile."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cloud_stack.errors import StackError
from cloud_stack.stack import Stack

POLL_SECONDS = 5
CANCELLED = "Resource creation cancelled"


@dataclass(frozen=True)
class Outcome:
    """How it ended, and of all that failed the first."""

    status: str
    seconds: int
    failed: str | None


class Follower:
    """Follows one stack from the moment that it is made."""

    def __init__(self, stack: Stack, stack_id: str, console: Console) -> None:
        self._stack = stack
        self._stack_id = stack_id
        self._console = console
        self._seen = {event["EventId"] for event in self._events()}

    def wait(self) -> Outcome:
        """Return when the stack has come to rest; Ctrl-C ends the waiting alone."""
        started, failed = monotonic(), None
        try:
            with self._bar():
                while True:
                    for event in self._news():
                        self._show(event)
                        failed = failed or _failure(event)
                        if self._is_the_end(event):
                            seconds = int(monotonic() - started)
                            return Outcome(event["ResourceStatus"], seconds, failed)
                    sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            raise StackError(
                f"CloudFormation goes on without you. Look: {self._stack.events_command}"
            ) from None

    def _bar(self) -> AbstractContextManager[object]:
        if not self._console.is_terminal:
            return nullcontext()
        bar = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=self._console
        )
        bar.add_task(self._stack.name, total=None)
        return bar

    def _show(self, event: dict[str, Any]) -> None:
        if self._console.is_terminal:
            self._console.print(f"{event['LogicalResourceId']}: {event['ResourceStatus']}")

    def _news(self) -> list[dict[str, Any]]:
        """Return what has happened since the last call, oldest first."""
        news = [event for event in self._events() if event["EventId"] not in self._seen]
        self._seen |= {event["EventId"] for event in news}
        return news[::-1]

    def _events(self) -> Iterator[dict[str, Any]]:
        pages = self._stack.formation.get_paginator("describe_stack_events").paginate(
            StackName=self._stack_id
        )
        for page in pages:
            yield from page["StackEvents"]

    def _is_the_end(self, event: dict[str, Any]) -> bool:
        ended = not event["ResourceStatus"].endswith("_IN_PROGRESS")
        return ended and event.get("PhysicalResourceId") == self._stack_id


def _failure(event: dict[str, Any]) -> str | None:
    reason = event.get("ResourceStatusReason", "no reason given")
    if not event["ResourceStatus"].endswith("_FAILED") or CANCELLED in reason:
        return None
    return f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}"
