"""A range of offsets: the records of one run, whatever else the topic holds."""

from collections.abc import Mapping
from dataclasses import dataclass

Position = tuple[int, int]
"Partition and offset of a record."
RecordId = tuple[str, int, int]
"Log, partition and offset: the same offset is another record in a topic that was created again."


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Offsets of every partition, from `start` up to but not including `end`."""

    start: Mapping[int, int]
    end: Mapping[int, int]

    def __contains__(self, position: Position) -> bool:
        partition, offset = position
        return self.start.get(partition, 0) <= offset < self.end.get(partition, 0)

    @property
    def count(self) -> int:
        """How many offsets there are."""
        return sum(end - self.start.get(partition, 0) for partition, end in self.end.items())
