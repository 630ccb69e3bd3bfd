"""What the stores must hold of some records, by the rules in plain Python, apart from Spark."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aiokafka.structs import ConsumerRecord
from pin_schema import reference
from pin_schema.clean import CleanPin
from pin_schema.reference_windows import WINDOW, Window, WindowKey, window_start, windows
from pin_schema.wire import InvalidPin

from reconcile.offsets import RecordId


@dataclass(frozen=True, slots=True)
class Expected:
    """The newest valid and the newest rejected version of every pin."""

    pins: dict[UUID, CleanPin]
    rejected: dict[UUID, reference.Rejected]


def expected(log: str, records: Iterable[ConsumerRecord]) -> Expected:
    """Validate, clean and dedupe the records of a log."""
    return Expected(*reference.catalogue(_pins(log, records)))


def expected_windows(
    log: str, records: Iterable[ConsumerRecord], late: Collection[RecordId]
) -> dict[WindowKey, Window]:
    """The windows of the records without the late ones."""
    return windows(
        pin
        for pin in map(reference.clean, _pins(log, records))
        if isinstance(pin, CleanPin) and (log, pin.source_partition, pin.source_offset) not in late
    )


def last_of_each_partition(log: str, records: Iterable[ConsumerRecord]) -> set[RecordId]:
    """The newest record of every partition."""
    newest: dict[int, ConsumerRecord] = {}
    for record in sorted(records, key=lambda record: int(record.offset)):
        newest[record.partition] = record
    return {identity(log, record) for record in newest.values()}


def identity(log: str, record: ConsumerRecord) -> RecordId:
    """What tells a record from all others."""
    return log, record.partition, record.offset


def window_bounds(records: Collection[ConsumerRecord]) -> tuple[datetime, datetime]:
    """The start of the records' first window, and the end of their last one."""
    times = [reference.moment(record.timestamp) for record in records]
    return window_start(min(times)), window_start(max(times)) + WINDOW


def _pins(log: str, records: Iterable[ConsumerRecord]) -> Iterator[reference.Raw]:
    for record in records:
        with suppress(InvalidPin):
            yield reference.raw_pin(log, record.partition, record.offset, record.timestamp, record.value)
