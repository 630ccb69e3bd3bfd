"""The flow of cleaning: split records, clean the valid side, keep the newest version of each side.

Records have the columns of `spark_types.RAW_RECORD`, as `spark_records` makes them, and may have more.
`split` and `clean` work on batches and streams alike.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads

from pin_schema.cleaning.downloaded import downloaded
from pin_schema.cleaning.follower_count import follower_count
from pin_schema.cleaning.image import image_src, rejection_reason
from pin_schema.cleaning.save_location import save_location
from pin_schema.cleaning.sentinels import DESCRIPTION, POSTER_NAME, TITLE, known_text
from pin_schema.cleaning.tag_list import tag_list
from pin_schema.cleaning.text import text


def split(records: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The valid pins and what is rejected, as they came; the rejected with their `reason`."""
    why = reason()
    return records.where(why.isNull()), records.where(why.isNotNull()).withColumn("reason", why)


def reason() -> Column:
    """The rule that makes a record no pin (its `invalid`) or why a pin is not taken; null for a valid one."""
    return F.coalesce("invalid", rejection_reason(F.col("image_src")))


def clean(valid: DataFrame, *also: str) -> DataFrame:
    """Valid records as CleanPin's columns, then `also`; `unique_id` becomes canonical (lower case)."""
    return valid.select(
        F.col("index").alias("idx"),
        known_text(F.col("title"), TITLE).alias("title"),
        known_text(F.col("poster_name"), POSTER_NAME).alias("poster_name"),
        text(F.col("category")).alias("category"),
        follower_count(F.col("follower_count")).alias("follower_count"),
        known_text(F.col("description"), DESCRIPTION).alias("description"),
        image_src(F.col("image_src")).alias("image_src"),
        text(F.col("is_image_or_video")).alias("is_image_or_video"),
        tag_list(F.col("tag_list")).alias("tag_list"),
        F.lower("unique_id").alias("unique_id"),
        downloaded(F.col("downloaded")).alias("downloaded"),
        save_location(F.col("save_location")).alias("save_location"),
        "event_time",
        "source_log",
        "source_partition",
        "source_offset",
        *also,
    )


def newest(pins: DataFrame) -> DataFrame:
    """The record of each `unique_id` with the greatest `version`; for batches only."""
    # The partition decides only between records written before and after the topic got more partitions.
    version = F.struct("version", "source_partition")
    versions = pins.groupBy(F.lower("unique_id"))
    return versions.agg(F.max_by(F.struct("*"), version).alias("pin")).select("pin.*")
