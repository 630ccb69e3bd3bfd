"""Tags: one comma-joined text becomes a list."""

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads

from pin_schema.cleaning.sentinels import TAG_LIST, known_text
from pin_schema.cleaning.text import text


def tag_list(column: Column) -> Column:
    """The cleaned tags in order, no empty ones; null when none is left (Cassandra has no empty list)."""
    tags = F.array_compact(F.transform(F.split(known_text(column, TAG_LIST), ","), text))
    return F.nullif(tags, F.array().cast("array<string>"))
