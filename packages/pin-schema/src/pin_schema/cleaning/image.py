"""Image: what a pin is about. Without one it is rejected."""

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads

from pin_schema.cleaning.sentinels import IMAGE_SRC, known_text


def image_src(column: Column) -> Column:
    """The cleaned URL; null when there is none."""
    return known_text(column, IMAGE_SRC)


def rejection_reason(column: Column) -> Column:
    """`no_image` for a pin whose image_src is null, empty or a sentinel; null for a valid pin."""
    return F.when(image_src(column).isNull(), F.lit("no_image"))
