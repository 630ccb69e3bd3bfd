"""The command line: `pin-emulator reference` and `pin-emulator stream`."""

import json
import math
import secrets
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yarl

from pin_emulator import reference as dataset
from pin_emulator.counts import count as counts_of
from pin_emulator.pace import paced
from pin_emulator.poster import GIVE_UP_AFTER
from pin_emulator.run import Target, run
from pin_emulator.traffic import traffic

app = typer.Typer(
    help="Posts pins over HTTP: the reference dataset, or endless believable traffic.",
    epilog="Exit codes: 0 every pin has its receipt, 1 some were refused, 2 usage, 3 gave up, 130 Ctrl-C.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


def _http_url(text: str) -> str:
    url = yarl.URL(text)
    if url.scheme not in {"http", "https"} or not url.host:
        raise typer.BadParameter(f"found {text!r}; give a base such as http://127.0.0.1:8000")
    return text


Url = Annotated[str, typer.Option(callback=_http_url, help="Base URL of the ingest API.")]
Connections = Annotated[int, typer.Option(min=1, help="Requests in flight at once.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Pins a request: 1 is POST /pin/, more is POST /pins.")]
GiveUpAfter = Annotated[float, typer.Option(min=0.1, help="Seconds without any progress before it gives up.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON alone on stdout, and no progress.")]

LOCAL = "http://127.0.0.1:8000"


@app.command(
    epilog="""Examples:

  pin-emulator reference

  pin-emulator reference --url http://ingest:8000 --batch-size 100 --json

  pin-emulator reference --dry-run

  pin-emulator reference --limit 1000 --output pins.ndjson"""
)
def reference(  # noqa: PLR0913 (the options of the command)
    *,
    url: Url = LOCAL,
    connections: Connections = 64,
    batch_size: BatchSize = 1,
    give_up_after: GiveUpAfter = GIVE_UP_AFTER,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first posts.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the dataset, post nothing.")] = False,
    output: Annotated[Path | None, typer.Option(dir_okay=False, help="Write NDJSON, post nothing.")] = None,
    as_json: AsJson = False,
) -> None:
    """Post the reference dataset: 20,226 posts of 11,154 pins, the same bytes everywhere."""
    if dry_run and output:
        raise typer.BadParameter("choose one of --dry-run and --output")
    pins = dataset.pins()[:limit]
    if dry_run:
        _print(msgspec.to_builtins(counts_of(pins)), as_json)
    elif output:
        output.write_bytes(b"".join(pin + b"\n" for pin in pins))
        _print({"written": len(pins), "file": str(output)}, as_json)
    else:
        target = Target(url, connections, batch_size, give_up_after)
        raise typer.Exit(run(lambda _: pins, target, total=len(pins), as_json=as_json))


@app.command(
    epilog="""Examples:

  pin-emulator stream --rate 50

  pin-emulator stream --rate 5000 --batch-size 100 --duration 60

  pin-emulator stream --rate 10 --count 500 --seed 7 --json"""
)
def stream(  # noqa: PLR0913 (the options of the command)
    *,
    rate: Annotated[float, typer.Option(min=0.001, help="Pins a second.")],
    duration: Annotated[float | None, typer.Option(min=0.001, help="Stop after that many seconds.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after that many pins.")] = None,
    seed: Annotated[int | None, typer.Option(help="Post the same pins as any run with this seed.")] = None,
    url: Url = LOCAL,
    connections: Connections = 64,
    batch_size: BatchSize = 1,
    give_up_after: GiveUpAfter = GIVE_UP_AFTER,
    as_json: AsJson = False,
) -> None:
    """Post endless traffic at a steady rate, until Ctrl-C, --duration or --count."""
    if duration and count:
        raise typer.BadParameter("choose one of --duration and --count")
    pins = islice(traffic(secrets.randbits(64) if seed is None else seed), count)
    total = math.ceil(rate * duration) if duration else count
    target = Target(url, connections, batch_size, give_up_after)
    raise typer.Exit(
        run(
            lambda stop: paced(pins, rate, duration=duration, stop=stop), target, total=total, as_json=as_json
        )
    )


def _print(figures: dict[str, Any], as_json: bool) -> None:
    typer.echo(json.dumps(figures, ensure_ascii=False) if as_json else "\n".join(_lines(figures)))


def _lines(figures: dict[str, Any]) -> Iterator[str]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield f"{name}:"
            yield from (f"  {line}" for line in _lines(value))
        else:
            yield f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}"
