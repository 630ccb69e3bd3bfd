"""One run from a terminal: post, show progress, stop on Ctrl-C, print what came of it."""

import asyncio
import json
import signal
from collections.abc import Callable
from dataclasses import dataclass

import typer

from pin_emulator.batches import Pins
from pin_emulator.poster import GaveUpError, post
from pin_emulator.progress import shown
from pin_emulator.summary import Summary

REFUSED = 1
GAVE_UP = 3
KILLED_BY = 128  # plus the signal's number, as shells count: Ctrl-C is 130


@dataclass(frozen=True, slots=True)
class Target:
    """Where to post, and how."""

    url: str
    connections: int
    batch_size: int
    give_up_after: float


def run(source: Callable[[asyncio.Event], Pins], target: Target, *, total: int | None, as_json: bool) -> int:
    """Post what `source` gives until its end or Ctrl-C, print the summary, and return the exit code.

    `source` is handed the event that is set when the run has to stop.
    """
    return asyncio.run(_run(source, target, total, as_json))


async def _run(
    source: Callable[[asyncio.Event], Pins], target: Target, total: int | None, as_json: bool
) -> int:
    stop = asyncio.Event()
    caught = _stop_on_signals(stop)
    gave_up = None
    with shown(target.url, total, quiet=as_json) as show:
        try:
            summary = await post(
                source(stop),
                url=target.url,
                connections=target.connections,
                batch_size=target.batch_size,
                give_up_after=target.give_up_after,
                stop=stop,
                on_progress=show,
            )
        except GaveUpError as error:
            summary, gave_up = error.summary, error
    if gave_up:
        typer.echo(f"Gave up: {gave_up}", err=True)
    typer.echo(json.dumps(summary.as_dict(), ensure_ascii=False) if as_json else report(summary))
    return _exit_code(summary, caught, gave_up)


def _exit_code(summary: Summary, caught: list[signal.Signals], gave_up: GaveUpError | None) -> int:
    if gave_up:
        return GAVE_UP
    if caught:
        return KILLED_BY + caught[0]
    return REFUSED if summary.refused else 0


def _stop_on_signals(stop: asyncio.Event) -> list[signal.Signals]:
    """Stop at the first signal, which is put into the list; a second one ends the process as usual."""
    loop = asyncio.get_running_loop()
    caught: list[signal.Signals] = []

    def catch(signum: signal.Signals) -> None:
        caught.append(signum)
        stop.set()
        loop.remove_signal_handler(signum)

    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, catch, signum)
    return caught


def report(summary: Summary) -> str:
    """Return the summary for people."""
    figures = summary.as_dict()
    latency = ", ".join(f"{name} {value:,.1f}" for name, value in figures["latency_ms"].items())
    lines = [
        f"posted {summary.posted:,} pins in {summary.seconds:,.1f} s: {summary.pins_per_second:,.0f} pins/s",
        f"latency in ms: {latency}",
        f"refused {summary.refused:,}, unconfirmed {summary.unconfirmed:,}",
    ]
    lines += [f"asked again {times:,} times: {cause}" for cause, times in summary.retries.items()]
    lines += [f"refused because: {problem}" for problem in summary.problems]
    return "\n".join(lines)
