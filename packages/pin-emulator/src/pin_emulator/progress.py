"""Shows how a run is doing: a bar on a terminal, a line now and then elsewhere.

It goes to stderr, because stdout is for results.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pin_emulator.summary import Summary

BAR_SECONDS = 0.1
LINE_SECONDS = 5.0

Show = Callable[[Summary], None]


@contextmanager
def shown(url: str, total: int | None, *, quiet: bool) -> Iterator[Show]:
    """Give a callback that shows a summary as it grows; `total` is None for a run without an end."""
    console = Console(stderr=True, highlight=False)
    if quiet:
        yield lambda _: None
    elif console.is_terminal:
        with _bar(console, url, total) as show:
            yield _every(BAR_SECONDS, show, total)
    else:

        def show_line(summary: Summary) -> None:
            console.print(line(summary, url, total), soft_wrap=True, markup=False)

        yield _every(LINE_SECONDS, show_line, total)


def line(summary: Summary, url: str, total: int | None) -> str:
    """Return the state of a run in one line."""
    pins = f"{summary.done:,}" + (f" of {total:,}" if total else "")
    return (
        f"{_doing(summary, url)}: {pins} pins, {summary.pins_per_second:,.0f}/s, "
        f"{summary.retries.total():,} retries"
    )


def _doing(summary: Summary, url: str) -> str:
    return f"waiting for {url} ({summary.waiting_for})" if summary.waiting_for else "posting"


@contextmanager
def _bar(console: Console, url: str, total: int | None) -> Iterator[Show]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f} pins/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[retries]:,} retries"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("posting", total=total, rate=0.0, retries=0)

        def show(summary: Summary) -> None:
            bar.update(
                task,
                description=_doing(summary, url),
                completed=summary.done,
                rate=summary.pins_per_second,
                retries=summary.retries.total(),
            )

        yield show


def _every(seconds: float, show: Show, total: int | None) -> Show:
    """Let a call through when the last is that long ago, and the one that ends the run."""
    last = 0.0

    def throttled(summary: Summary) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= seconds or summary.done == total:
            last = now
            show(summary)

    return throttled
