"""Text: NULs stripped, trimmed, and null when nothing is left."""

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads

# Unicode's White_Space property, in full: the trims of Spark, Java and Python differ from it and each other.
WHITESPACE = (
    "\t\n\v\f\r \u0085\u00a0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


def text(column: Column) -> Column:
    """The text without NULs and surrounding white space; null when empty."""
    trimmed = F.btrim(F.replace(column, F.lit("\0"), F.lit("")), F.lit(WHITESPACE))
    # Trimming a set of characters walks the whole text, char by char: most texts show that they need none.
    return F.nullif(F.when(_needs_no_trim(column), column).otherwise(trimmed), F.lit(""))


def _needs_no_trim(column: Column) -> Column:
    """Whether the text begins and ends with printable ASCII and holds no NUL; enough, though not needed."""
    last_byte = F.substring(column.cast("binary"), -1, 1)
    return column.between("!", "~") & last_byte.between(F.lit(b"!"), F.lit(b"~")) & ~column.contains("\0")
