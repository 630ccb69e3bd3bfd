"""The demo: the reference dataset through the whole running line, and what arrived where."""

import argparse
import asyncio
import subprocess

from pin_emulator import reference
from pin_emulator.poster import GaveUpError, post
from pin_emulator.progress import shown
from pin_emulator.run import report
from pin_emulator.summary import Summary
from rich.console import Console
from service_runtime.s3 import s3_bucket

from native_stack.clients import archive_settings, catalogue_settings, live_dsn
from native_stack.demo import counts, show
from native_stack.demo.counts import Found, Run, reference_ids
from native_stack.demo.live import read_live_side
from native_stack.demo.receipts import Receipts
from native_stack.errors import NativeError
from native_stack.reconcile.archive import archived_within
from native_stack.reconcile.catalogue import read_catalogue
from native_stack.reconcile.offsets import OffsetRange
from native_stack.reconcile.topic import log_ends, read_topic
from native_stack.settings import NativeSettings
from native_stack.stack import Stack

TOPIC = "pins"
ARCHIVED_WITHIN_SECONDS = 60.0


def main() -> None:
    """Post, load, count and print; exit 1 when a count is wrong."""
    parser = argparse.ArgumentParser(
        prog="pinflow-demo",
        description="Post the reference dataset through the running stack (`native up`), load it into "
        "Cassandra, wait for the live windows and count what arrived where. Exits 1 when a count is wrong. "
        "The stack is left running.",
    )
    parser.add_argument(
        "--staging", choices=("none", "redis"), default="none", help="how batch-etl keeps its steps"
    )
    arguments = parser.parse_args()
    out, err = Console(), Console(stderr=True)
    try:
        is_right = asyncio.run(_run(Stack(NativeSettings.load_or_exit()), arguments.staging, out, err))
    except NativeError as error:
        err.print(f"demo: {error}", style="red", markup=False, soft_wrap=True)
        raise SystemExit(1) from None
    if not is_right:
        out.print("A count differs. `make logs` shows what the services say.", style="red")
        raise SystemExit(1)


async def _run(stack: Stack, staging: str, out: Console, err: Console) -> bool:
    for service in ("ingest-api", "s3-sink", "stream-etl"):
        stack.pid_of(service)  # says how to start it
    kafka = stack.settings.kafka_address
    start = await log_ends(kafka, TOPIC)
    receipts = Receipts()
    summary = await _post(stack.settings.ingest_url, receipts)
    out.print(report(summary), highlight=False)
    run = Run(reference_ids(), OffsetRange(start, await log_ends(kafka, TOPIC)))
    found = await _found(stack, staging, run, receipts, err)
    rows, categories = counts.rows(summary.posted, found), counts.category_rows(found)
    out.print(show.stages(rows), show.categories(categories), sep="\n")
    out.print(show.where_next(stack.settings), highlight=False, markup=False, soft_wrap=True)
    return all(row.is_right for row in (*rows, *categories))


async def _post(url: str, receipts: Receipts) -> Summary:
    with shown(url, len(reference.pins()), quiet=False) as progress:
        try:
            return await post(reference.pins(), url=url, on_receipts=receipts.take, on_progress=progress)
        except GaveUpError as error:
            raise NativeError(f"{error}: see `make status` and `make logs P=ingest-api`") from error


async def _found(stack: Stack, staging: str, run: Run, receipts: Receipts, err: Console) -> Found:
    kafka = stack.settings.kafka_address
    records = [
        record
        for record in await read_topic(kafka, TOPIC, run.span)
        if (record.partition, record.offset) in receipts.positions
    ]
    with err.status("waiting until all of it is archived"):
        async with s3_bucket(archive_settings(stack)) as store:
            archived = await archived_within(store, run.span, ARCHIVED_WITHIN_SECONDS)
    await asyncio.to_thread(_load, stack, staging)
    with err.status("waiting until the windows have ended and are written"):
        live = await read_live_side(kafka, TOPIC, live_dsn(stack), records)
    catalogue = await asyncio.to_thread(read_catalogue, catalogue_settings(stack))
    return Found(
        in_topic={(record.partition, record.offset): record.key for record in records},
        archived=len({(r.partition, r.offset) for r in archived} & receipts.positions),
        clean=run.clean(catalogue.pins),
        rejected=run.rejected(catalogue.rejected),
        live=run.clean(live.pins),
        live_rejected=run.rejected(live.rejected),
        windows=live.windows,
        expected_windows=live.expected_windows,
        late=live.late,
    )


def _load(stack: Stack, staging: str) -> None:
    """Run batch-etl in the foreground: its progress is the demo's."""
    job = stack.job("batch-etl", "run", "--staging", staging)
    ended = subprocess.run(job.command, env=job.environment, check=False)  # noqa: S603
    if ended.returncode:
        raise NativeError(f"batch-etl ended with {ended.returncode}: its own lines above say why")
