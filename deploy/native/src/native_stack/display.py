"""What the person at the terminal sees while something takes time: a live table, or plain lines in a log."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Row:
    """How far one item is: `text` is news worth a line, `live` passing detail for a terminal only."""

    text: str
    done: bool = False
    live: str = ""


class Display(Protocol):
    """Shows rows by name as they change."""

    def show(self, rows: Mapping[str, Row]) -> None:
        """Show the present state of every item."""

    def open(self) -> AbstractContextManager[object]:
        """Return the context in which `show` may be called."""


class Silent:
    """Shows nothing: for tests."""

    def show(self, rows: Mapping[str, Row]) -> None:
        """Show nothing."""

    def open(self) -> AbstractContextManager[object]:
        """Return a context without effect."""
        return nullcontext()


class PlainLines:
    """One line whenever an item has news: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[str, str] = {}

    def show(self, rows: Mapping[str, Row]) -> None:
        """Print the rows whose text is new."""
        for name, row in rows.items():
            if self._shown.get(name) != row.text:
                self._shown[name] = row.text
                self._console.print(f"{name}: {row.text}", markup=False, highlight=False, soft_wrap=True)

    def open(self) -> AbstractContextManager[object]:
        """Return a context without effect."""
        return nullcontext()


class LiveTable:
    """A table that is redrawn in place: for terminals."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=8)
        self._spinner = Spinner("dots")
        self._started = time.monotonic()

    def show(self, rows: Mapping[str, Row]) -> None:
        """Redraw all rows."""
        table = Table.grid(padding=(0, 2))
        for name, row in rows.items():
            mark = Text("✓", style="green") if row.done else self._spinner
            live = Text(row.live, style="dim", overflow="ellipsis", no_wrap=True)
            text = Text(row.text, overflow="ellipsis", no_wrap=True)
            table.add_row(mark, Text(name, style="bold"), text, live)
        table.add_row("", Text(f"{time.monotonic() - self._started:.0f} s", style="dim"))
        self._live.update(table)

    def open(self) -> AbstractContextManager[object]:
        """Return the context that draws the table and leaves its last state on the screen."""
        return self._live


def display_for(console: Console) -> Display:
    """Return the display that fits where the output goes."""
    return LiveTable(console) if console.is_terminal else PlainLines(console)
