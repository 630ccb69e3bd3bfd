"""What the catalogue holds: Cassandra's tables, as the batch job left them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pin_schema.clean import CleanPin
from service_runtime.cassandra import cassandra_session
from service_runtime.settings import CassandraSettings

from reconcile.rejected import RejectedPin

if TYPE_CHECKING:
    from cassandra.cluster import Session


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All pins by unique_id, and the newest rejected version of each."""

    pins: dict[UUID, CleanPin]
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
        pins = [_clean_pin(row._asdict()) for row in session.execute("SELECT * FROM pins")]
        rejected = [
            RejectedPin(
                row.unique_id,
                row.reason,
                row.raw,
                (row.source_partition, row.source_offset, _utc(row.event_time)),
            )
            for row in session.execute("SELECT * FROM pins_rejected")
        ]
    return Catalogue({pin.unique_id: pin for pin in pins}, rejected)


def _clean_pin(row: dict[str, Any]) -> CleanPin:
    return CleanPin.model_validate(row | {"event_time": _utc(row["event_time"])})


def _utc(naive: datetime) -> datetime:
    # The driver reads timestamps as naive UTC.
    return naive.replace(tzinfo=UTC)
