"""First half of the demo: the reference dataset goes in, until all of it is archived."""

from pin_emulator import reference
from pin_emulator.answers import Receipt
from pin_emulator.poster import GaveUpError, post
from pin_emulator.progress import shown
from pin_emulator.run import report
from pin_emulator.summary import Summary
from rich.console import Console
from service_runtime.s3 import s3_bucket

from reconcile.archive import archived_within
from reconcile.demo.run import Run
from reconcile.demo.settings import DemoSettings
from reconcile.errors import DemoError
from reconcile.offsets import OffsetRange, Position
from reconcile.topic import log_ends, topic_log

ARCHIVED_WITHIN_SECONDS = 90.0


async def post_reference(settings: DemoSettings, out: Console, err: Console) -> None:
    """Post the dataset, keep its receipts, and wait until the archive has it; raises DemoError."""
    log = await topic_log(settings, settings.kafka_topic)
    start = await log_ends(settings, settings.kafka_topic)
    positions: set[Position] = set()

    def take(pairs: list[tuple[bytes, Receipt]]) -> None:
        receipts = [receipt for _, receipt in pairs if receipt["log"] == log]
        positions.update((receipt["partition"], receipt["offset"]) for receipt in receipts)

    with shown(settings.ingest_url, len(reference.pins()), quiet=False) as progress:
        try:
            summary: Summary = await post(
                reference.pins(), url=settings.ingest_url, on_receipts=take, on_progress=progress
            )
        except GaveUpError as error:
            raise DemoError(f"{error}: what says ingest-api, and its /health/ready?") from error
    out.print(report(summary), highlight=False)
    span = OffsetRange(start, await log_ends(settings, settings.kafka_topic))
    Run(summary.posted, log, positions, span).save(settings.run_file)
    with err.status("waiting until all of it is archived"):
        async with s3_bucket(settings) as store:
            archived = await archived_within(store, log, span, ARCHIVED_WITHIN_SECONDS)
    if len(archived) < span.count:
        raise DemoError(
            f"{len(archived):,} of {span.count:,} records archived after {ARCHIVED_WITHIN_SECONDS:.0f} s: "
            "what says s3-sink, and its /health/ready?"
        )
