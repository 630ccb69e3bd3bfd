"""What arrived where of the reference dataset, counted by what lies in each store."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from pin_emulator.counts import REFERENCE_COUNTS, Counts
from pin_schema.clean import CleanPin
from pin_schema.reference_windows import Window, WindowKey

from reconcile.offsets import Position
from reconcile.rejected import RejectedPin


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was counted, and what it must be."""

    stage: str
    found: int
    expected: int
    meaning: str

    @property
    def is_right(self) -> bool:
        """Whether the count is what it must be."""
        return self.found == self.expected


@dataclass(frozen=True, slots=True)
class Found:
    """What the stores hold of one run, whatever else they hold."""

    in_topic: Mapping[Position, bytes]
    archived: int
    clean: Sequence[CleanPin]
    rejected: Sequence[RejectedPin]
    live: Sequence[CleanPin]
    live_rejected: Sequence[RejectedPin]
    windows: Mapping[WindowKey, Window]
    expected_windows: Mapping[WindowKey, Window]
    late: int


def rows(posted: int, found: Found, counts: Counts = REFERENCE_COUNTS) -> list[Row]:
    """The table, in flow order."""
    right = sum(found.windows.get(key) == window for key, window in found.expected_windows.items())
    windows = found.windows.keys() | found.expected_windows.keys()
    return [
        Row("posted", posted, counts.posted, "each with a receipt after all in-sync replicas had it"),
        Row("in Kafka", len(found.in_topic), counts.posted, "at the positions the receipts name"),
        Row("archived", found.archived, counts.posted, "records in S3 objects whose checksums hold"),
        Row("distinct", len(set(found.in_topic.values())), counts.distinct, "the rest are exact repeats"),
        Row("rejected", len(found.rejected), counts.rejected, "no_image, in Cassandra's pins_rejected"),
        Row("in Cassandra", len(found.clean), counts.clean, "clean pins, by Spark from the archive"),
        Row("in PostgreSQL", len(found.live), counts.clean, "clean pins, by Spark from the topic"),
        Row("late", found.late, 0, "pins that came when their window had closed"),
        Row(
            "windows", right, len(windows), "equal to a recomputation from the topic, of 10 s and a category"
        ),
    ]


def category_rows(found: Found, counts: Counts = REFERENCE_COUNTS) -> list[Row]:
    """Distinct pins by category in each store, the rejected included, beside the reference."""
    stores = {
        "Cassandra": _categories(found.clean, found.rejected),
        "PostgreSQL": _categories(found.live, found.live_rejected),
    }
    names = dict.fromkeys([*counts.categories, *stores["Cassandra"], *stores["PostgreSQL"]])
    return [
        Row(name, store[name], counts.categories.get(name, 0), where)
        for name in names
        for where, store in stores.items()
    ]


def _categories(clean: Iterable[CleanPin], rejected: Iterable[RejectedPin]) -> Counter[str]:
    counted = Counter(pin.category or "" for pin in clean)
    counted.update(msgspec.json.decode(pin.raw).get("category") or "" for pin in rejected)
    return counted
