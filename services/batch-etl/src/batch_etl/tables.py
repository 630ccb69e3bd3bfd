"""The two tables and how a batch of Arrow rows becomes their values. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyarrow as pa
from pin_schema.spark_types import CLEAN_PIN

OFFSETS_A_MILLISECOND = 1000


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows are versions of pins."""

    name: str
    columns: tuple[str, ...]

    def insert(self, keyspace: str) -> str:
        """The statement that writes every column, nulls too: a newer null erases an older value."""
        names, places = ", ".join(self.columns), ", ".join("?" * len(self.columns))
        return f"INSERT INTO {keyspace}.{self.name} ({names}) VALUES ({places}) USING TIMESTAMP ?"  # noqa: S608

    def rows(self, batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
        """The values of `insert`, row by row."""
        milliseconds = pa_milliseconds(batch.column("event_time"))
        offsets = batch.column("source_offset").to_pylist()
        stamps = map(write_timestamp, milliseconds, offsets)
        special = {"event_time": milliseconds, "source_offset": offsets}
        special["unique_id"] = map(UUID, batch.column("unique_id").to_pylist())
        columns = [
            special[name] if name in special else batch.column(name).to_pylist() for name in self.columns
        ]
        return zip(*columns, stamps, strict=True)


PINS = Table("pins", tuple(CLEAN_PIN.names))
REJECTED = Table(
    "pins_rejected", ("unique_id", "reason", "raw", "event_time", "source_partition", "source_offset")
)


def pa_milliseconds(times: pa.Array) -> list[int]:
    """Milliseconds since the epoch of a column of timestamps."""
    return times.cast(pa.timestamp("ms", "UTC")).cast(pa.int64()).to_pylist()  # type: ignore[no-any-return]


def write_timestamp(event_time: int, offset: int) -> int:
    """Cassandra's timestamp of a version, in µs: its event time (ms), then its offset.

    So two versions of one millisecond keep their order, unless a multiple of 1000 lies between their offsets
    and two runs load them: inside a run the newest is chosen before, by the whole offset.
    """
    return event_time * OFFSETS_A_MILLISECOND + offset % OFFSETS_A_MILLISECOND


def cut(sizes: Sequence[int], max_rows: int, max_bytes: int) -> Iterator[slice]:
    """Slices of consecutive rows within both limits; a row beyond `max_bytes` is alone."""
    start = held = 0
    for position, size in enumerate(sizes):
        if position > start and (position - start == max_rows or held + size > max_bytes):
            yield slice(start, position)
            start, held = position, 0
        held += size
    if start < len(sizes):
        yield slice(start, len(sizes))
