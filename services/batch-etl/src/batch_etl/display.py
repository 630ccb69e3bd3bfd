"""What a person or a log sees of a run on stderr; stdout belongs to the summary."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

import structlog
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark import SparkContext
from rich.console import Console
from rich.file_proxy import FileProxy
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text
from service_runtime.logs import configure_logs

from batch_etl.steps import Display, Notes

log = structlog.get_logger(__name__)


class LogLines:
    """A line a step, for machines."""

    def began(self, step: str) -> None:
        """Do nothing: the line comes with the step's end."""

    def ended(self, step: str, seconds: float, notes: Notes) -> None:
        """Log the step."""
        log.info("step done", step=step, seconds=round(seconds, 3), **notes)


class Terminal:
    """A line a step, alive while it runs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def began(self, step: str) -> None:
        """Add the step's line."""
        self._progress.add_task(step, total=1, notes="")

    def ended(self, step: str, seconds: float, notes: Notes) -> None:  # noqa: ARG002
        """Finish the step's line."""
        told = ", ".join(
            f"{name} {value:,}" if isinstance(value, int) else str(value) for name, value in notes.items()
        )
        self._progress.update(self._progress.task_ids[-1], completed=1, notes=told)


class SparkTasks(ProgressColumn):
    """How many tasks of Spark's current stages are done."""

    def render(self, task: Task) -> Text:
        """Return "3/8 tasks" while the step runs."""
        context = SparkContext._active_spark_context
        if task.finished or context is None:
            return Text(str(task.fields["notes"]))
        try:
            tracker = context.statusTracker()
            stages = [info for stage in tracker.getActiveStageIds() if (info := tracker.getStageInfo(stage))]
        except (Py4JError, AttributeError):
            # Spark is just starting or stopping; an error here would freeze the whole display.
            return Text("")
        done, total = (
            sum(getattr(info, name) for info in stages) for name in ("numCompletedTasks", "numTasks")
        )
        return Text(f"{done}/{total} tasks" if total else "")


@contextmanager
def display(log_level: str) -> Iterator[Display]:
    """Set up logs, and choose between a person and a machine."""
    if not sys.stderr.isatty():
        configure_logs("batch-etl", log_level, sys.stderr)
        for library in ("cassandra", "py4j", "uvicorn"):
            logging.getLogger(library).setLevel(logging.WARNING)
        yield LogLines()
        return
    console = Console(stderr=True)
    # Through the console, so that a log line does not tear the live lines.
    configure_logs("batch-etl", "WARNING", cast("TextIO", FileProxy(console, sys.stderr)))
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description:12}"),
        TimeElapsedColumn(),
        SparkTasks(),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        yield Terminal(progress)
