"""Downloaded: 0/1 becomes a boolean."""

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads


def downloaded(column: Column) -> Column:
    """False for 0, true for 1; null for anything else: unknown is not "no"."""
    return F.when(column.isin(0, 1), column == 1)
