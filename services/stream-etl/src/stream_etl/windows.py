"""What the live tables count, for streams and batches alike. Pins have the columns of CLEAN_PIN.

`pin_schema.reference_windows` says the same in plain Python.
"""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads

WINDOW = timedelta(seconds=10)
SESSION_GAP = timedelta(minutes=5)
WATERMARK_DELAY = timedelta(minutes=1)


def interval(length: timedelta) -> str:
    """The length as Spark writes it."""
    return f"{length.total_seconds():.0f} seconds"


def pin_windows(pins: DataFrame) -> DataFrame:
    """Tumbling windows by category; a pin counts once a window, by its first version there."""
    kind = F.col("is_image_or_video")
    once = pins.withColumn("window", F.window("event_time", interval(WINDOW))).dropDuplicates(
        ["unique_id", "window"]
    )
    counted = once.groupBy("window", "category").agg(
        F.count("*").alias("pins"),
        F.size(F.collect_set("poster_name")).cast("long").alias("posters"),
        F.count_if(kind == "image").alias("images"),
        F.count_if((kind == "video") | kind.startswith("multi-video")).alias("videos"),
        F.max("follower_count").alias("max_follower_count"),
    )
    start, end = F.col("window.start").alias("window_start"), F.col("window.end").alias("window_end")
    return counted.select(start, end, "category", "pins", "posters", "images", "videos", "max_follower_count")


def poster_sessions(pins: DataFrame) -> DataFrame:
    """What each known poster did without a pause of more than five minutes."""
    known = pins.where(F.col("poster_name").isNotNull())
    sessions = known.groupBy(F.session_window("event_time", interval(SESSION_GAP)), "poster_name")
    return sessions.agg(F.size(F.collect_set("unique_id")).cast("long").alias("pins")).select(
        "poster_name",
        F.col("session_window.start").alias("session_start"),
        F.col("session_window.end").alias("session_end"),
        "pins",
    )
