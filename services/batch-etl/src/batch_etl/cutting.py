"""Cutting rows or objects into parts that are small enough. Pure."""

from collections.abc import Iterator, Sequence


def cut(sizes: Sequence[int], most: int, most_bytes: int) -> Iterator[slice]:
    """Slices of consecutive items within both limits; an item beyond `most_bytes` is alone."""
    start = held = 0
    for position, size in enumerate(sizes):
        if position > start and (position - start == most or held + size > most_bytes):
            yield slice(start, position)
            start, held = position, 0
        held += size
    if start < len(sizes):
        yield slice(start, len(sizes))
