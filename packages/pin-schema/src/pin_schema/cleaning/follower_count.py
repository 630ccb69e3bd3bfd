"""Follower counts as the site prints them: `848`, `1,234`, `35k`, `1.5M`."""

from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads

from pin_schema.cleaning.text import text

# ASCII digits, up to an int64's 19; commas only between thousands; no sign, no space, and no sentinel.
# `\z`, because Java's `$` also matches before a final line break.
_PRINTED = r"^([0-9]{1,19}|[0-9]{1,3}(,[0-9]{3}){1,6})(\.[0-9]{1,18})?[kKmMbB]?\z"
_AS_EXPONENT = {",": "", "K": "e3", "M": "e6", "B": "e9"}


def follower_count(column: Column) -> Column:
    """The count as bigint, rounded half up; null when unknown, unreadable or beyond int64, never an error."""
    printed = F.upper(F.regexp_extract(text(column), _PRINTED, 0))
    number = reduce(
        lambda text, unit: F.replace(text, F.lit(unit), F.lit(_AS_EXPONENT[unit])), _AS_EXPONENT, printed
    )
    # Text into a decimal is exact, exponent and all; the cast rounds half up and makes null of no match.
    return number.try_cast("decimal(38,0)").try_cast("bigint")
