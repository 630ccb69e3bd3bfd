"""The two streaming queries, from records to rows for PostgreSQL: a column a table, a row has one of them."""

from pin_schema.cleaning import clean, split
from pin_schema.cleaning.flow import reason
from pin_schema.spark_types import CLEAN_PIN
from pin_schema.wire import MAX_PIN_BYTES
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads

from stream_etl.windows import pin_windows, poster_sessions

# A checkpoint belongs to one plan. Raise this with every change of the queries, their windows or watermark.
PLAN = 1


def live(records: DataFrame) -> DataFrame:
    """Every record, cleaned or rejected, and every window the batch changed.

    One query for both, so that a batch's rows and its windows can be written in one transaction.
    """
    windows = pin_windows(clean(split(records)[0]))
    return _rows(records).unionByName(
        windows.select(_whole(windows).alias("pin_windows")), allowMissingColumns=True
    )


def sessions(records: DataFrame) -> DataFrame:
    """The sessions that the watermark has closed."""
    closed = poster_sessions(clean(split(records)[0]))
    return closed.select(_whole(closed).alias("poster_sessions"))


def _rows(records: DataFrame) -> DataFrame:
    cleaned = clean(records.withColumn("reason", reason()), "reason", "value")
    pin = _whole(cleaned.select(*CLEAN_PIN.names))
    # PostgreSQL keeps what came as text; a record without a value is an empty one.
    # What is longer than a pin may be was cut where it was read: its position leads to the whole.
    raw = F.substring(F.coalesce("value", F.lit("")), 1, MAX_PIN_BYTES).alias("raw")
    rejected = _whole(
        cleaned.select(
            "source_log", "source_partition", "source_offset", "event_time", "unique_id", "reason", raw
        )
    )
    valid = F.col("reason").isNull()
    return cleaned.withColumn("raw", raw).select(
        F.when(valid, pin).alias("pins"), F.when(~valid, rejected).alias("rejected_pins")
    )


def _whole(rows: DataFrame) -> Column:
    """A row of this shape as one column; its members may be null, else Arrow refuses a null in its place."""
    return F.struct(*rows.columns).cast(rows.schema.simpleString())
