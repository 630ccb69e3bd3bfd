"""The `native` command: reads arguments and environment, drives the Stack, prints what it says."""

import json
import logging
import os
import shlex
import signal
import sys
from dataclasses import asdict
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from native_stack import jar_checksums, shells
from native_stack.builds import BUILDS
from native_stack.display import display_for
from native_stack.errors import NativeError
from native_stack.hints import where_next
from native_stack.jobs import JOBS
from native_stack.programs import ALL, PROGRAMS, by_name, variable_prefix
from native_stack.servers.kafka import TOOLS
from native_stack.settings import NativeSettings
from native_stack.stack import Stack

SIGTERM_EXIT = 143
NAMES = ", ".join(program.name for program in ALL)
JOB_NAMES = ", ".join(job.name for job in JOBS)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The whole of Pinflow as local processes, without Docker: real Kafka, Cassandra, PostgreSQL, Redis "
    "and S3 servers and our services, under a supervisor that restarts them.\n\n"
    "Start with `native up`, look with `native status` and `native logs`, end with `native down`. "
    f"The programs: {NAMES}. Jobs, for `native run`: {JOB_NAMES}.\n\n"
    "State, logs and secrets are in .local/ (PINFLOW_STATE_DIR), downloads and builds in ~/.cache/pinflow "
    "(PINFLOW_CACHE_DIR). Ports are set by PINFLOW_KAFKA_PORT and so on; a service's own variables "
    "(INGEST_…, SINK_…, STREAM_…, BATCH_…) are passed on to it.",
)
out = Console()
err = Console(stderr=True)

ProgramArgument = Annotated[str, typer.Argument(help=f"One of: {NAMES}, {JOB_NAMES}.")]
StatementArgument = Annotated[
    str | None, typer.Argument(help="Run it, print its result and end; default: an interactive shell.")
]


def main() -> None:
    """Run the command; exit 1 with one message on a failure, 130 after Ctrl-C, 143 after SIGTERM."""
    # aiokafka reports every refused connection while a broker starts.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except NativeError as error:
        err.print(f"native: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


@app.command()
def up(
    only: Annotated[
        list[str] | None, typer.Option(help=f"Start only this program; repeatable. {NAMES}.")
    ] = None,
    timeout_seconds: Annotated[
        float | None, typer.Option(help="Give up after this long; default: never.")
    ] = None,
    observe: Annotated[
        bool, typer.Option("--observe", help="With Prometheus, Alertmanager and the Pushgateway.")
    ] = False,
) -> None:
    """Build what is missing, start what does not run, wait until all of it is ready."""
    _stack().up(only or (), timeout_seconds, observe=observe)
    err.print("ready. `native status` shows where, `native down` ends it.", markup=False, highlight=False)


@app.command()
def down() -> None:
    """Stop every process of the stack; data stay. Safe to repeat."""
    _stack().down()


@app.command()
def reset() -> None:
    """Stop the stack and delete its data, secrets and logs."""
    _stack().reset()


@app.command()
def build() -> None:
    """Download and build what the stack needs, start nothing."""
    _stack().build()


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, by program, on stdout.")] = False,
) -> None:
    """Show each program: running or not, ready or why not. Exits 1 unless all that is started is ready."""
    rows = _stack().status()
    if as_json:
        typer.echo(json.dumps({name: asdict(row) for name, row in rows.items()}, indent=2))
    else:
        table = Table("program", "state", "pid", "address", "ready", box=None, pad_edge=False)
        for column in table.columns:
            column.overflow = "fold"
        for name, row in rows.items():
            table.add_row(name, row.state, str(row.pid or ""), row.address or "", row.waits_for or "yes")
        out.print(table)
    if not all(row.waits_for is None for row in rows.values() if row.state != "stopped"):
        raise typer.Exit(1)


@app.command()
def logs(
    program: Annotated[str | None, typer.Argument(help=f"One of: {NAMES}; default: all.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option(help="How many lines of each log.")] = 50,
) -> None:
    """Show the last lines of the logs."""
    chosen = [by_name(program)] if program else list(ALL)
    directory = NativeSettings.load_or_exit().log_dir
    paths = [str(path) for item in chosen if (path := directory / f"{item.name}.log").exists()]
    if not paths:
        raise NativeError(f"no log in {directory}: nothing has been started yet")
    sys.stdout.flush()
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), *paths])  # noqa: S606, S607


@app.command()
def env(program: ProgramArgument) -> None:
    """Print the variables a program or a job gets; by hand: set -a; eval "$(native env s3-sink)"; s3-sink."""
    for name, value in _stack().environment(program).items():
        typer.echo(f"{name}={shlex.quote(value)}")


# What follows the job's name is the job's, options and --help included.
@app.command(context_settings={"allow_interspersed_args": False})
def run(
    job: Annotated[str, typer.Argument(help=f"One of: {JOB_NAMES}.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="What the job is told.")] = None,
) -> None:
    """Run a job in the foreground, on the stack that runs; the exit code is the job's."""
    _stack().job(job, *(arguments or ())).become()


@app.command()
def hints() -> None:
    """Print what to look at and to try on the running stack, to be copied line by line."""
    out.print(where_next(NativeSettings.load_or_exit()), highlight=False, markup=False, soft_wrap=True)


@app.command()
def cql(statement: StatementArgument = None) -> None:
    """Open cqlsh on the catalogue in Cassandra, or run one statement there."""
    shells.cql(_stack(), statement).become()


@app.command()
def sql(statement: StatementArgument = None) -> None:
    """Open psql on the live windows in PostgreSQL, or run one statement there."""
    shells.sql(_stack(), statement).become()


@app.command(context_settings={"allow_interspersed_args": False})
def kafka(
    tool: Annotated[str, typer.Argument(help=f"One of: {', '.join(TOOLS)}.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="What the tool is told.")] = None,
) -> None:
    """Run one of Kafka's own tools on the broker: native kafka topics --describe --topic pins."""
    shells.kafka(_stack(), tool, arguments or ()).become()


@app.command()
def checksums() -> None:
    """Download the jars anew and rewrite the repository's SHA-256 lists: after a change of a pom.xml."""
    for build in BUILDS:
        if build.checksums:
            jar_checksums.refresh(build, NativeSettings.load_or_exit())
            err.print(f"wrote {build.checksums}", markup=False, highlight=False, soft_wrap=True)


def _stack() -> Stack:
    prefixes = {program.name: variable_prefix(program) for program in (*PROGRAMS, *JOBS)}
    passed_on = {
        name: {variable: value for variable, value in os.environ.items() if variable.startswith(prefix)}
        for name, prefix in prefixes.items()
        if prefix
    }
    return Stack(NativeSettings.load_or_exit(), display=display_for(err), environment=passed_on)


def _terminated(_signal: int, _frame: object) -> NoReturn:
    # As an exception it undoes what `up` began, like Ctrl-C.
    raise SystemExit(SIGTERM_EXIT)
