"""The demo: post the reference dataset through the running stack and count what arrived where."""

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from pin_emulator import reference
from pin_emulator.answers import Receipt
from pin_emulator.poster import GaveUpError, post
from pin_emulator.progress import shown
from pin_emulator.run import report
from pin_emulator.summary import Summary
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from service_runtime.s3 import s3_bucket
from service_runtime.settings import S3Settings

from native_stack.credentials import S3_SINK_KEY_ID
from native_stack.errors import NativeError
from native_stack.programs import BUCKET
from native_stack.reconcile import OffsetRange, archived_within, log_ends, read_topic
from native_stack.settings import NativeSettings
from native_stack.stack import Stack

TOPIC = "pins"
ARCHIVED_WITHIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was counted, and what it must be."""

    stage: str
    found: int
    expected: int
    meaning: str

    @property
    def is_right(self) -> bool:
        """Whether the count is what it must be."""
        return self.found == self.expected


@dataclass
class Positions:
    """The positions that the receipts name."""

    seen: set[tuple[int, int]] = field(default_factory=set)

    def take(self, pairs: list[tuple[bytes, Receipt]]) -> None:
        """Remember where these pins are."""
        self.seen.update((receipt["partition"], receipt["offset"]) for _, receipt in pairs)


def archive_settings(stack: Stack) -> S3Settings:
    """Return how to read the stack's archive: with the sink's own key."""
    secret = stack.credentials.s3_sink_secret_file.read_text(encoding="utf-8").strip()
    return S3Settings(
        s3_bucket=BUCKET,
        s3_endpoint_url=stack.settings.s3_url,
        s3_access_key_id=S3_SINK_KEY_ID,
        s3_secret_access_key=SecretStr(secret),
    )


def main() -> None:
    """Post, count and print; exit 1 when a count is wrong."""
    argparse.ArgumentParser(
        prog="pinflow-demo",
        description="Post the reference dataset through the running stack (`native up`) and count what "
        "arrived where. Exits 1 when a count is wrong. The stack is left running.",
    ).parse_args()
    out = Console()
    try:
        is_right = _run(Stack(NativeSettings.load_or_exit()), out)
    except NativeError as error:
        Console(stderr=True).print(f"demo: {error}", style="red", markup=False, soft_wrap=True)
        raise SystemExit(1) from None
    if not is_right:
        out.print("A count differs. `make logs` shows what the services say.", style="red")
        raise SystemExit(1)


def _run(stack: Stack, out: Console) -> bool:
    stack.pid_of("ingest-api")  # says how to start it
    rows, summary = asyncio.run(_demo(stack))
    out.print(report(summary), highlight=False)
    out.print(_table(rows))
    out.print(_where_next(stack), highlight=False, markup=False, soft_wrap=True)
    return all(row.is_right for row in rows)


async def _demo(stack: Stack) -> tuple[list[Row], Summary]:
    kafka = stack.settings.kafka_address
    start = await log_ends(kafka, TOPIC)
    positions = Positions()
    summary = await _post(stack.settings.ingest_url, positions)
    span = OffsetRange(start, await log_ends(kafka, TOPIC))
    in_topic = {(record.partition, record.offset) for record in await read_topic(kafka, TOPIC, span)}
    async with s3_bucket(archive_settings(stack)) as store:
        archived = len(await archived_within(store, span, ARCHIVED_WITHIN_SECONDS))
    posted = len(reference.pins())
    rows = [
        Row("posted", summary.posted, posted, "each with a receipt after all in-sync replicas had it"),
        Row("in Kafka", len(in_topic & positions.seen), posted, "at the positions the receipts name"),
        Row("archived", archived, len(in_topic), "records in S3 objects whose checksums hold"),
    ]
    return rows, summary


async def _post(url: str, positions: Positions) -> Summary:
    with shown(url, len(reference.pins()), quiet=False) as show:
        try:
            return await post(reference.pins(), url=url, on_receipts=positions.take, on_progress=show)
        except GaveUpError as error:
            raise NativeError(f"{error}: see `make status` and `make logs P=ingest-api`") from error


def _table(rows: list[Row]) -> Table:
    table = Table("stage", "pins", "", "what was counted", title="This run", title_justify="left")
    table.columns[1].justify = "right"
    for row in rows:
        verdict = "" if row.is_right else f"expected {row.expected:,}"
        style = None if row.is_right else "bold red"
        table.add_row(row.stage, f"{row.found:,}", verdict, row.meaning, style=style)
    return table


def _where_next(stack: Stack) -> str:
    settings = stack.settings
    pin = '{"index": 1, "unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54dddf", "title": "Hello"}'
    places: Mapping[str, str] = {
        "post a pin": f"curl -d '{pin}' -H 'Content-Type: application/json' {settings.ingest_url}/pin/",
        "what ingest-api takes": f"{settings.ingest_url}/docs",
        "is it ready, and if not why": f"{settings.ingest_url}/health/ready "
        f"http://127.0.0.1:{settings.sink_port}/health/ready",
        "more traffic": ".venv/bin/pin-emulator stream --rate 50",
        "what runs, what it says, the end": "make status · make logs P=s3-sink · make down",
    }
    width = max(map(len, places))
    return "\n".join(f"{what:<{width}}  {where}" for what, where in places.items())
