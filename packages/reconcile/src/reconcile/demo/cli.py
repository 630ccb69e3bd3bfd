"""`pinflow-demo`: the reference dataset through a running line, and what arrived where."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from reconcile.demo.ask import ask_catalogue, ask_windows
from reconcile.demo.check import check
from reconcile.demo.post import post_reference
from reconcile.demo.settings import DemoSettings
from reconcile.errors import DemoError

T = TypeVar("T")
StatementArgument = Annotated[str, typer.Argument(help="One statement.", show_default=False)]
Half = Callable[[DemoSettings, Console, Console], Awaitable[T]]

app = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="The reference dataset through a running line: post it, run batch-etl, check what arrived where; "
    "and questions to the stores. "
    "Configured by DEMO_* variables, see the README.",
)


@app.command("post")
def post_command() -> None:
    """Post the reference dataset and wait until all of it is archived."""
    _run(post_reference)


@app.command("check")
def check_command() -> None:
    """Print what arrived where of the dataset posted last; exit 1 when a count is wrong."""
    if not _run(check):
        Console(stderr=True).print("A count differs: the logs of the services say why.", style="red")
        raise typer.Exit(1)


@app.command("cql")
def cql_command(statement: StatementArgument) -> None:
    """Ask the catalogue, a row a line as JSON: pinflow-demo cql "SELECT * FROM pins LIMIT 5"."""
    _run(lambda settings, out, _: ask_catalogue(settings, statement, out))


@app.command("sql")
def sql_command(statement: StatementArgument) -> None:
    """Ask the live windows, a row a line as JSON: pinflow-demo sql "SELECT * FROM pin_windows LIMIT 5"."""
    _run(lambda settings, out, _: ask_windows(settings, statement, out))


def _run(half: Half[T]) -> T:
    try:
        return asyncio.run(_awaited(half(DemoSettings.load_or_exit(), Console(), Console(stderr=True))))
    except DemoError as error:
        Console(stderr=True).print(f"demo: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None


async def _awaited(result: Awaitable[T]) -> T:
    return await result


def main() -> None:
    """Run the command line."""
    app()
