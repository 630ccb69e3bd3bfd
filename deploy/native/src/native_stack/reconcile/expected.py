"""What the stores must hold of some records, by the rules in plain Python, apart from Spark."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aiokafka.structs import ConsumerRecord
from pin_schema import reference
from pin_schema.clean import CleanPin
from pin_schema.reference_windows import WINDOW, Window, WindowKey, window_start, windows
from pin_schema.wire import InvalidPin

from native_stack.reconcile.offsets import Position, RecordId


@dataclass(frozen=True, slots=True)
class Expected:
    """The newest valid and the newest rejected version of every pin, and what was no pin."""

    pins: dict[UUID, CleanPin]
    rejected: dict[UUID, reference.Rejected]
    no_pins: dict[Position, str]


def expected(records: Iterable[ConsumerRecord]) -> Expected:
    """Judge, clean and dedupe the records."""
    raws, no_pins = [], {}
    for record in records:
        try:
            raws.append(reference.raw_pin(record.partition, record.offset, record.timestamp, record.value))
        except InvalidPin as fault:
            no_pins[record.partition, record.offset] = fault.reason
    return Expected(*reference.catalogue(raws), no_pins)


def expected_windows(
    records: Iterable[ConsumerRecord], late: Collection[RecordId]
) -> dict[WindowKey, Window]:
    """The windows of the records without the late ones."""
    return windows(
        pin
        for pin in _clean(records)
        if (pin.source_partition, pin.source_offset, pin.event_time) not in late
    )


def last_of_each_partition(records: Iterable[ConsumerRecord]) -> set[RecordId]:
    """The newest record of every partition."""
    newest: dict[int, ConsumerRecord] = {}
    for record in sorted(records, key=lambda record: int(record.offset)):
        newest[record.partition] = record
    return {identity(record) for record in newest.values()}


def identity(record: ConsumerRecord) -> RecordId:
    """What tells a record from all others."""
    return record.partition, record.offset, reference.moment(record.timestamp)


def window_bounds(records: Collection[ConsumerRecord]) -> tuple[datetime, datetime]:
    """The start of the records' first window, and the end of their last one."""
    times = [reference.moment(record.timestamp) for record in records]
    return window_start(min(times)), window_start(max(times)) + WINDOW


def _clean(records: Iterable[ConsumerRecord]) -> Iterable[CleanPin]:
    for record in records:
        try:
            raw = reference.raw_pin(record.partition, record.offset, record.timestamp, record.value)
        except InvalidPin:
            continue
        pin = reference.clean(raw)
        if isinstance(pin, CleanPin):
            yield pin
