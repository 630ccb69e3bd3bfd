"""Which version of a pin is newer: one number, the same in every store.

Within a partition of a log `version = offset + lead`, where `lead` is the greatest `append time in µs -
offset` so far. The number grows with every offset and needs one integer of state. It stays near the append
time, so that versions from different partitions compare by the brokers' clocks.
"""

from dataclasses import dataclass

MICROSECONDS = 1000
_BEFORE_ALL = -(2**63)


@dataclass(slots=True)
class Versions:
    """Numbers the records of one partition, which are given in offset order."""

    lead: int = _BEFORE_ALL

    def of(self, offset: int, timestamp: int) -> int:
        """Return the version of the next record: its offset, its append time in ms."""
        self.lead = max(self.lead, timestamp * MICROSECONDS - offset)
        return offset + self.lead


def format_1_version(offset: int, timestamp: int) -> int:
    """Return the version of a record that was archived before lines had one."""
    return timestamp * MICROSECONDS + offset % MICROSECONDS


def greatest_format_1_version(timestamp: int) -> int:
    """Return the greatest version that a record of format 1 with this time (ms) can have."""
    return timestamp * MICROSECONDS + MICROSECONDS - 1


def lead_after(version: int, offset: int) -> int:
    """Return the state in which the record at `offset` gets a version above `version`, whatever its time."""
    return version + 1 - offset
