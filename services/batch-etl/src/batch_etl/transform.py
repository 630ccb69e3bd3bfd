"""From the archive's records to the two tables; the rules themselves are `pin_schema.cleaning`."""

from pin_schema.cleaning import clean, newest, split
from pin_schema.cleaning.flow import reason
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads


def without_needless_text(records: DataFrame) -> DataFrame:
    """The records with their text only where it is kept: in the row of a rejected pin."""
    is_kept = F.col("invalid").isNull() & reason().isNotNull()
    return records.withColumn("value", F.when(is_kept, F.col("value")))


def distinct_pins(records: DataFrame) -> int:
    """How many pins there are, counted apart from what is kept of them; valid and rejected ones each once."""
    pins = records.where(F.col("invalid").isNull())
    return pins.select(F.lower("unique_id"), reason()).distinct().count()


def clean_pins(records: DataFrame) -> DataFrame:
    """The newest valid version of each pin, cleaned, with its object."""
    valid, _ = split(records.drop("value"))
    return clean(newest(valid), "version", "object")


def rejected_pins(records: DataFrame) -> DataFrame:
    """The newest rejected version of each pin, as it came, with its object.

    What is no pin at all has no `unique_id` and is not among them: the sink has dead-lettered it.
    """
    _, rejected = split(records)
    return newest(rejected.where(F.col("unique_id").isNotNull())).select(
        F.lower("unique_id").alias("unique_id"),
        "reason",
        F.col("value").alias("raw"),
        "event_time",
        "source_log",
        "source_partition",
        "source_offset",
        "version",
        "object",
    )
