"""Sentinels: what the scraper behind the clients writes for "unknown"."""

from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads

from pin_schema.cleaning.text import text

Sentinels = tuple[str, ...]

TITLE: Sentinels = ("No Title Data Available",)
DESCRIPTION: Sentinels = ("No description available Story format", "No description available")
POSTER_NAME: Sentinels = ("User Info Error",)
TAG_LIST: Sentinels = ("N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e",)
IMAGE_SRC: Sentinels = ("Image src error.",)


def known_text(column: Column, sentinels: Sentinels) -> Column:
    """The cleaned text; null when it is a sentinel, letter for letter after trimming."""
    # nullif computes its text once, where `when(~isin(...), ...)` would compute it twice.
    return reduce(lambda known, sentinel: F.nullif(known, F.lit(sentinel)), sentinels, text(column))
