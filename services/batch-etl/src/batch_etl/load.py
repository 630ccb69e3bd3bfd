"""One attempt at a slice: what its objects hold; then archive in, tables out, every record accounted for."""

from collections.abc import Mapping, Sequence

from pin_schema.archive_stream import VerifiedObject
from pyspark.sql import DataFrame, SparkSession

from batch_etl.accounting import Account, Tally, balance
from batch_etl.settings import BatchSettings
from batch_etl.source import TASK_BYTES, records, verified
from batch_etl.staging import Staging
from batch_etl.steps import Steps
from batch_etl.tables import PINS, REJECTED
from batch_etl.transform import clean_pins, distinct_pins, rejected_pins, without_needless_text
from batch_etl.writer import write_table


def verify_objects(
    keys: Sequence[str], spark: SparkSession, steps: Steps, settings: BatchSettings
) -> tuple[dict[str, VerifiedObject], dict[str, str]]:
    """What each object holds, and why others are set aside, by key."""
    with steps("verify") as notes:
        rows = verified(spark, keys, settings).collect()
        held = {
            row.object: VerifiedObject(row.end, row.records, row.line_bytes, row.sha256)
            for row in rows
            if row.set_aside is None
        }
        notes["bytes"] = sum(one.line_bytes for one in held.values())
    in_order = {key: held[key] for key in keys if key in held}
    return in_order, {row.object: row.set_aside for row in rows if row.set_aside is not None}


def load(
    objects: Mapping[str, VerifiedObject],
    spark: SparkSession,
    staging: Staging,
    steps: Steps,
    settings: BatchSettings,
) -> Account:
    """Load verified objects into both tables; raises Unbalanced before anything is written."""
    # What follows is as much work as reading: as many tasks fit it.
    tasks = -(-sum(held.line_bytes for held in objects.values()) // TASK_BYTES)
    spark.conf.set("spark.sql.shuffle.partitions", max(tasks, spark.sparkContext.defaultParallelism))
    with steps("load") as notes:
        loaded = staging.keep("load", without_needless_text(records(spark, objects, settings)))
        notes["records"] = sum(held.records for held in objects.values())
    with steps("clean") as notes:
        clean = staging.keep("clean", clean_pins(loaded))
        rejected = staging.keep("rejected", rejected_pins(loaded))
        tally = _tally(loaded, clean, rejected)
        account = balance(objects, tally)
        notes |= {
            "clean": account.clean,
            "duplicate": account.duplicate,
            "rejected": sum(account.rejected.values()),
        }
    with steps("write") as notes:
        notes |= {"rows": account.clean, "rejected": sum(tally.rejected.values())}
        write_table(clean, PINS, account.clean, settings)
        write_table(rejected, REJECTED, sum(tally.rejected.values()), settings)
    return account


def _tally(loaded: DataFrame, clean: DataFrame, rejected: DataFrame) -> Tally:
    judged = loaded.groupBy("object", "invalid").count().collect()
    return Tally(
        distinct=distinct_pins(loaded),
        judged={(row.object, row.invalid): row["count"] for row in judged},
        clean={row.object: row["count"] for row in clean.groupBy("object").count().collect()},
        rejected={
            (row.object, row.reason): row["count"]
            for row in rejected.groupBy("object", "reason").count().collect()
        },
    )
