"""From what was loaded to the two tables; the rules themselves are `pin_schema.cleaning`."""

from pin_schema.cleaning import clean, newest, split
from pin_schema.cleaning.flow import reason
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads

from batch_etl.source import OBJECT_COLUMNS


def objects_of(loaded: DataFrame) -> DataFrame:
    """The objects' own rows."""
    return loaded.where(F.col("source_offset").isNull()).select("object", *OBJECT_COLUMNS)


def records_of(loaded: DataFrame) -> DataFrame:
    """The records, with the key of their object."""
    return loaded.where(F.col("source_offset").isNotNull()).drop(*OBJECT_COLUMNS)


def distinct_pins(loaded: DataFrame) -> int:
    """How many pins there are, counted apart from what is kept of them; valid and rejected ones each once."""
    pins = records_of(loaded).where(F.col("invalid").isNull())
    return pins.select(F.lower("unique_id"), reason()).distinct().count()


def clean_pins(loaded: DataFrame) -> DataFrame:
    """The newest valid version of each pin, cleaned, with its object."""
    valid, _ = split(records_of(loaded))
    return clean(newest(valid), "object")


def rejected_pins(loaded: DataFrame) -> DataFrame:
    """The newest rejected version of each pin, as it came, with its object.

    What is no pin at all has no `unique_id` and is not among them: the sink has dead-lettered it.
    """
    _, rejected = split(records_of(loaded))
    return newest(rejected.where(F.col("unique_id").isNotNull())).select(
        F.lower("unique_id").alias("unique_id"),
        "reason",
        F.col("value").alias("raw"),
        "event_time",
        "source_partition",
        "source_offset",
        "object",
    )
