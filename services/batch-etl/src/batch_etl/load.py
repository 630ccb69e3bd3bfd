"""One attempt at the work: archive in, tables out, every record accounted for."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, SparkSession

from batch_etl.accounting import Account, SealedObject, Tally, balance
from batch_etl.settings import BatchSettings
from batch_etl.source import archive
from batch_etl.staging import Staging
from batch_etl.steps import Steps
from batch_etl.tables import PINS, REJECTED
from batch_etl.transform import clean_pins, distinct_pins, objects_of, records_of, rejected_pins
from batch_etl.writer import write_table


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an attempt wrote, and what it could not read: why, by key."""

    account: Account = field(default_factory=Account)
    set_aside: dict[str, str] = field(default_factory=dict)


def load(
    keys: Sequence[str], spark: SparkSession, staging: Staging, steps: Steps, settings: BatchSettings
) -> Loaded:
    """Load the objects into both tables; raises Unbalanced before anything is written."""
    with steps("load") as notes:
        loaded = staging.keep("load", archive(spark, keys, settings))
        sealed, set_aside = _objects(loaded)
        notes["records"] = sum(said.records for said in sealed.values())
    with steps("clean") as notes:
        clean = staging.keep("clean", clean_pins(loaded))
        rejected = staging.keep("rejected", rejected_pins(loaded))
        tally = _tally(loaded, clean, rejected)
        account = balance(sealed, tally)
        notes |= {
            "clean": account.clean,
            "duplicate": account.duplicate,
            "rejected": sum(account.rejected.values()),
        }
    with steps("write") as notes:
        notes |= {"rows": account.clean, "rejected": sum(tally.rejected.values())}
        write_table(clean, PINS, account.clean, settings)
        write_table(rejected, REJECTED, sum(tally.rejected.values()), settings)
    return Loaded(account, set_aside)


def _objects(loaded: DataFrame) -> tuple[dict[str, SealedObject], dict[str, str]]:
    rows = objects_of(loaded).collect()
    sealed = {
        row.object: SealedObject(row.object_end, row.object_sha256, row.object_records)
        for row in rows
        if row.set_aside is None
    }
    return sealed, {row.object: row.set_aside for row in rows if row.set_aside is not None}


def _tally(loaded: DataFrame, clean: DataFrame, rejected: DataFrame) -> Tally:
    judged = records_of(loaded).groupBy("object", "invalid").count().collect()
    return Tally(
        distinct=distinct_pins(loaded),
        judged={(row.object, row.invalid): row["count"] for row in judged},
        clean={row.object: row["count"] for row in clean.groupBy("object").count().collect()},
        rejected={
            (row.object, row.reason): row["count"]
            for row in rejected.groupBy("object", "reason").count().collect()
        },
    )
