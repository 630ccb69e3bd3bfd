"""What one batch hands to PostgreSQL: Spark's rows, cut into tables. Pure: no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from stream_etl.late import late_pins

Tables = Mapping[str, pa.Table]
"Rows by the name of the table they are written to."


class Batch(Protocol):
    """The rows of one batch of one query."""

    @property
    def records(self) -> int:
        """How many rows Spark gave."""

    @property
    def max_event_time(self) -> datetime | None:
        """The greatest event time of its records; None when it held none."""

    def tables(self, seen: datetime | None) -> Tables:
        """The rows to write, given the greatest event time in the batches up to the last but one."""


@dataclass(frozen=True)
class LiveBatch:
    """Every record of the batch as a clean pin or a rejected one, and every window it changed."""

    pins: pa.Table
    rejected: pa.Table
    windows: pa.Table

    @classmethod
    def of(cls, rows: pa.Table) -> "LiveBatch":
        """Take apart the rows of `queries.live`."""
        return cls(*(_members(rows[name]) for name in ("pin", "rejected", "window")))

    @property
    def records(self) -> int:
        """How many records of the topic it holds."""
        return len(self.pins) + len(self.rejected)

    @property
    def max_event_time(self) -> datetime | None:
        """The greatest event time of its records; None when it holds none."""
        newest: datetime | None = pc.max(self._positions["event_time"]).as_py()
        return newest

    def tables(self, seen: datetime | None) -> Tables:
        """The rows to write, given the greatest event time in the batches up to the last but one."""
        return {
            "pins": last_of_each("unique_id", self.pins, "event_time", "source_offset", "source_partition"),
            "rejected_pins": self.rejected,
            "late_pins": late_pins(self.pins, seen),
            "pin_windows": self.windows,
            "stream_positions": last_of_each("source_partition", self._positions, "source_offset"),
        }

    @property
    def _positions(self) -> pa.Table:
        columns = ["source_partition", "source_offset", "event_time"]
        return pa.concat_tables([self.pins.select(columns), self.rejected.select(columns)])


@dataclass(frozen=True)
class SessionBatch:
    """The sessions that ended."""

    sessions: pa.Table

    @property
    def records(self) -> int:
        """How many sessions it holds."""
        return len(self.sessions)

    @property
    def max_event_time(self) -> None:
        """Unknown: sessions do not tell which records the batch held."""

    def tables(self, seen: datetime | None) -> Tables:  # noqa: ARG002 - Spark leaves out what is late itself
        """The rows to write."""
        return {"poster_sessions": self.sessions}


def last_of_each(key: str, rows: pa.Table, *order: str) -> pa.Table:
    """The row of each key that is the greatest by `order`, sorted by key."""
    ordered = rows.sort_by([(column, "ascending") for column in (key, *order)])
    keys = ordered[key].combine_chunks()
    if not len(keys):
        return ordered
    differs = pc.not_equal(keys[:-1], keys[1:])
    return ordered.filter(pa.concat_arrays([differs, pa.array([True])]))


def _members(structs: pa.ChunkedArray) -> pa.Table:
    """The members of a column of structs as columns, without the rows that have none."""
    names = [member.name for member in structs.type]
    return pa.Table.from_arrays(structs.flatten(), names).filter(structs.is_valid())
