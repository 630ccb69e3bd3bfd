"""Save location: the path alone."""

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads

from pin_schema.cleaning.text import WHITESPACE, text

_PREFIX_OF_NOTHING = "Local save in"
_PREFIX = f"^{_PREFIX_OF_NOTHING} [{WHITESPACE}]*"


def save_location(column: Column) -> Column:
    """The cleaned text without one leading "Local save in "; null when nothing follows it."""
    location = F.nullif(text(column), F.lit(_PREFIX_OF_NOTHING))
    return F.regexp_replace(location, _PREFIX, "")
