"""Batches as aiokafka holds them: what cannot be decoded is told apart, and nothing is stepped over."""

import struct
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchError, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import RecordTooLargeError, TopicAuthorizationFailedError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from service_runtime.kafka_fetched import read_fetched

PINS = TopicPartition("pins", 0)
MAX_BYTES = 1024 * 1024
LENGTH_AT, MAGIC_AT, CHECKSUM_AT, CODEC_AT = 11, 16, 17, 22


def batch(first: int, *values: bytes) -> bytearray:
    """Return a batch as a broker sends it."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=MAX_BYTES,
    )
    for number, value in enumerate(values):
        builder.append(number, 0, None, value, [])
    raw = bytearray(builder.build())
    struct.pack_into(">q", raw, 0, first)
    return raw


class Consumer:
    """As much of aiokafka's consumer as reading what was fetched needs: the position is 5."""

    def __init__(self) -> None:
        self.assignment = Assignment([PINS])
        self.assignment.state_value(PINS).seek(5)
        subscription = SimpleNamespace(assignment=self.assignment)
        self._subscription = SimpleNamespace(reassignment_in_progress=False, subscription=subscription)
        self._fetcher = SimpleNamespace(_records={}, _wait_consume_future=None, _notify=lambda _: None)

    def fetched(self, raw: bytes) -> None:
        records = PartitionRecords(
            PINS, MemoryRecords(raw), None, self.position, None, None, check_crcs=True, isolation_level=0
        )
        self._fetcher._records[PINS] = FetchResult(
            PINS, assignment=self.assignment, partition_records=records, backoff=0
        )

    def failed(self, error: Exception) -> None:
        self._fetcher._records[PINS] = FetchError(error=error, backoff=0)

    @property
    def position(self) -> int:
        return int(self.assignment.state_value(PINS).position)

    @property
    def fetches_more(self) -> bool:
        return PINS not in self._fetcher._records

    def read(self) -> tuple[list[bytes | None], str | None]:
        records, why = read_fetched(self, PINS, MAX_BYTES)
        return [record.value for record in records], why


def other_byte(raw: bytearray, at: int, value: int) -> bytes:
    return bytes(raw[:at] + bytes([value]) + raw[at + 1 :])


async def test_sound_batches_are_read_and_make_room() -> None:
    consumer = Consumer()
    consumer.fetched(bytes(batch(5, b"a", b"b") + batch(7, b"c")))
    assert consumer.read() == ([b"a", b"b", b"c"], None)
    assert (consumer.position, consumer.fetches_more) == (8, True)


@pytest.mark.parametrize(
    ("at", "value"),
    [(CHECKSUM_AT, 1), (CODEC_AT, 7), (LENGTH_AT, 3)],
    ids=["checksum", "codec", "length"],
)
async def test_what_lies_before_a_broken_batch_is_read_and_the_position_stays_at_it(
    at: int, value: int
) -> None:
    consumer = Consumer()
    consumer.fetched(bytes(batch(5, b"a", b"b")) + other_byte(batch(7, b"c"), at, value))
    values, why = consumer.read()
    assert values == [b"a", b"b"]
    assert why
    assert (consumer.position, consumer.fetches_more) == (7, False)


async def test_a_batch_of_a_format_that_was_never_written_is_not_decoded() -> None:
    consumer = Consumer()
    consumer.fetched(other_byte(batch(5, b"a"), MAGIC_AT, 0))
    values, why = consumer.read()
    assert (values, consumer.position) == ([], 5)
    assert why


async def test_a_batch_that_claims_to_be_longer_is_not_stepped_over() -> None:
    consumer = Consumer()
    consumer.failed(RecordTooLargeError())
    consumer.assignment.state_value(PINS).consumed_to(6)  # as aiokafka does
    assert consumer.read() == ([], "a batch says that it is longer than what the broker sent")
    assert (consumer.position, consumer.fetches_more) == (5, False)


async def test_an_error_that_passes_is_raised_and_asked_again() -> None:
    consumer = Consumer()
    consumer.failed(TopicAuthorizationFailedError("pins"))
    with pytest.raises(TopicAuthorizationFailedError):
        consumer.read()
    assert (consumer.position, consumer.fetches_more) == (5, True)
