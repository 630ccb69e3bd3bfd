"""`batch-etl run`: the command line."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer
from service_runtime.service import run_service

from batch_etl.app import batch_service
from batch_etl.days import Days
from batch_etl.display import display
from batch_etl.exits import HELP
from batch_etl.job import Request
from batch_etl.outcome import Run
from batch_etl.settings import BatchSettings
from batch_etl.summary import print_summary

app = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Loads the archive of pins into the catalogue. Configured by BATCH_* variables, see the README.",
)


class Kept(StrEnum):
    """Where the steps of a run are kept."""

    none = "none"
    redis = "redis"


@app.callback()
def main_help() -> None:
    """Keep `run` a command of its own."""


@app.command(epilog=HELP)
def run(
    date: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="First UTC day of the archive to load; alone: that day only.",
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="Last day, inclusive; alone: everything up to it.",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Load again what the ledger has; changes nothing.")
    ] = False,
    staging: Annotated[
        Kept, typer.Option(help="Where steps are kept: Spark's own memory, or Redis.")
    ] = Kept.none,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be loaded; write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Load every object of the archive that the ledger does not have, and record it there.

    Each object is verified whole; pins are cleaned, the newest version of each is written to Cassandra. A run
    may be repeated, be late, be killed or run beside another: the newer version of a pin always stands.
    """
    try:
        days = Days.of(date and date.date(), until and until.date())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--until") from None
    settings = BatchSettings.load_or_exit()
    this_run = Run(staging.value)
    with display(settings.log_level) as shown:
        request = Request(days, full, staging.value, dry_run)
        code = run_service(settings, batch_service(settings, request, this_run, shown))
    print_summary(this_run, as_json=as_json)
    raise typer.Exit(code)


def main() -> None:
    """Run the command line."""
    app()
