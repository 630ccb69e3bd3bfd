"""Second half of the demo: what arrived where, once the windows have ended and batch-etl has run."""

import asyncio

from rich.console import Console
from service_runtime.s3 import s3_bucket

from reconcile.archive import read_archive
from reconcile.catalogue import read_catalogue
from reconcile.demo import counts, show
from reconcile.demo.counts import Found
from reconcile.demo.live import read_live_side
from reconcile.demo.run import Run
from reconcile.demo.settings import DemoSettings
from reconcile.topic import read_topic


async def check(settings: DemoSettings, out: Console, err: Console) -> bool:
    """Print the counts of the last run, stage by stage; say whether all are what they must be."""
    run = Run.load(settings.run_file)
    found = await _found(settings, run, err)
    rows, categories = counts.rows(run.posted, found), counts.category_rows(found)
    out.print(show.stages(rows), show.categories(categories), sep="\n")
    return all(row.is_right for row in (*rows, *categories))


async def _found(settings: DemoSettings, run: Run, err: Console) -> Found:
    records = [
        record
        for record in await read_topic(settings, settings.kafka_topic, run.span)
        if (record.partition, record.offset) in run.positions
    ]
    async with s3_bucket(settings) as store:
        archived = await read_archive(store, run.log, run.span)
    with err.status("waiting until the windows have ended and are written"):
        live = await read_live_side(
            settings, settings.kafka_topic, str(settings.postgres_dsn), run.log, records
        )
    catalogue = await asyncio.to_thread(read_catalogue, settings)
    return Found(
        in_topic={(record.partition, record.offset): record.key for record in records},
        archived=len({(r.partition, r.offset) for r in archived} & run.positions),
        clean=run.clean(catalogue.pins),
        rejected=run.rejected(catalogue.rejected),
        live=run.clean(live.pins),
        live_rejected=run.rejected(live.rejected),
        windows=live.windows,
        expected_windows=live.expected_windows,
        late=live.late,
    )
