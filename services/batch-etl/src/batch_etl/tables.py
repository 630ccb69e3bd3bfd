"""The two tables and how a batch of Arrow rows becomes their values. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyarrow as pa
from cassandra.query import UNSET_VALUE
from pin_schema.spark_types import CLEAN_PIN

VERSION = "version"


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows are versions of pins."""

    name: str
    columns: tuple[str, ...]

    def erase(self, keyspace: str) -> str:
        """The statement that erases every older version; its values are a timestamp and the pin.

        A null column would be a tombstone, and Cassandra refuses a scan that meets too many. This erases the
        whole partition, which no scan counts, and older versions that are loaded later as well.
        """
        return f"DELETE FROM {keyspace}.{self.name} USING TIMESTAMP ? WHERE unique_id = ?"  # noqa: S608

    def insert(self, keyspace: str) -> str:
        """The statement that writes a version; its values are those of `rows`."""
        names, places = ", ".join(self.columns), ", ".join("?" * len(self.columns))
        return f"INSERT INTO {keyspace}.{self.name} ({names}) VALUES ({places}) USING TIMESTAMP ?"  # noqa: S608

    def rows(self, batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
        """The values of each row, then its version as the timestamp; what is null is left unset."""
        special: dict[str, Iterable[object]] = {"event_time": pa_milliseconds(batch.column("event_time"))}
        special["unique_id"] = map(UUID, batch.column("unique_id").to_pylist())
        columns = [
            special[name] if name in special else map(_or_unset, batch.column(name).to_pylist())
            for name in self.columns
        ]
        return zip(*columns, batch.column(VERSION).to_pylist(), strict=True)


PINS = Table("pins", (*CLEAN_PIN.names, VERSION))
REJECTED = Table(
    "pins_rejected",
    ("unique_id", "reason", "raw", "event_time", "source_log", "source_partition", "source_offset", VERSION),
)


def _or_unset(value: object) -> object:
    return UNSET_VALUE if value is None else value


def pa_milliseconds(times: pa.Array) -> list[int]:
    """Milliseconds since the epoch of a column of timestamps."""
    return times.cast(pa.timestamp("ms", "UTC")).cast(pa.int64()).to_pylist()  # type: ignore[no-any-return]
