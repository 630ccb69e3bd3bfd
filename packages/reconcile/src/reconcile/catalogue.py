"""What the catalogue holds: Cassandra's tables, as the batch job left them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pin_schema.clean import CleanPin
from pin_schema.logs import FORMAT_1_LOG
from service_runtime.cassandra import cassandra_session
from service_runtime.settings import CassandraSettings

from reconcile.rejected import RejectedPin

if TYPE_CHECKING:
    from cassandra.cluster import Session


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All pins by unique_id with their versions, and the newest rejected version of each."""

    pins: dict[UUID, CleanPin]
    versions: dict[UUID, int]
    rejected: list[RejectedPin]


@contextmanager
def connected(settings: CassandraSettings) -> "Iterator[Session]":
    """Connect to the catalogue's keyspace; raises one of NOT_NOW."""
    with cassandra_session(settings) as session:
        session.set_keyspace(settings.cassandra_keyspace)
        yield session


def read_catalogue(settings: CassandraSettings) -> Catalogue:
    """Read both tables whole."""
    with connected(settings) as session:
        rows = [row._asdict() for row in session.execute("SELECT * FROM pins")]
        rejected = [
            RejectedPin(
                row.unique_id,
                row.reason,
                row.raw,
                (row.source_log or FORMAT_1_LOG, row.source_partition, row.source_offset),
            )
            for row in session.execute("SELECT * FROM pins_rejected")
        ]
    versions = {row["unique_id"]: row.pop("version") for row in rows}
    return Catalogue({pin.unique_id: pin for pin in map(_clean_pin, rows)}, versions, rejected)


def _clean_pin(row: dict[str, Any]) -> CleanPin:
    # What was loaded before pins named their log has none.
    log = row["source_log"] or FORMAT_1_LOG
    return CleanPin.model_validate(row | {"event_time": _utc(row["event_time"]), "source_log": log})


def _utc(naive: datetime) -> datetime:
    # The driver reads timestamps as naive UTC.
    return naive.replace(tzinfo=UTC)
