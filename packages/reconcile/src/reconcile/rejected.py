"""A rejected record, as either store keeps it."""

from dataclasses import dataclass
from uuid import UUID

from reconcile.offsets import Position, RecordId


@dataclass(frozen=True, slots=True)
class RejectedPin:
    """Why it was rejected, and its text as it came; what is no pin has no `unique_id`."""

    unique_id: UUID | None
    reason: str
    raw: str
    record: RecordId

    @property
    def position(self) -> Position:
        """Its partition and offset."""
        return self.record[1:]
