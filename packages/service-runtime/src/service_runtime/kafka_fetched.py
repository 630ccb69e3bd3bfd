"""Records by bytes out of what aiokafka has fetched, where its own `getmany` counts records.

A fetch is bounded in compressed bytes and may inflate some 400 times. aiokafka keeps it compressed and
inflates a batch when its first record is read: this is its `fetched_records`, stopped by a sum of bytes, and
by what cannot be decoded for the one partition alone.
"""

import asyncio
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import RecordTooLargeError

from service_runtime.broker import Record, record_bytes


async def wait_for_fetched(
    consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition], max_wait: float
) -> None:
    """Return when something was fetched, or after `max_wait` seconds.

    Raises what aiokafka's background tasks have met.
    """
    fetcher, subscription = consumer._fetcher, consumer._subscription
    if fetcher.error_future.done():  # of which aiokafka itself says nothing: no record would ever come
        fetcher.error_future.result()
    consumer._coordinator.check_errors()
    waiter = fetcher._create_fetch_waiter()
    try:
        # During a rebalance records may belong to another already: nobody reads them.
        if subscription.reassignment_in_progress or fetcher._records.keys().isdisjoint(partitions):
            with subscription.fetch_context():
                await asyncio.wait([waiter], timeout=max_wait)
        if waiter.done():
            waiter.result()
    finally:
        waiter.cancel()


def read_fetched(
    consumer: AIOKafkaConsumer, partition: TopicPartition, max_bytes: int
) -> tuple[list[Record], str | None]:
    """Read what was fetched of the partition until the records hold `max_bytes` (above 0).

    Returns them, and why what follows them cannot be decoded, if so: the fetch then stays, so that nothing
    more is fetched before a position is sought. Raises what aiokafka noted in place of a fetch.
    """
    fetcher = consumer._fetcher
    fetched = fetcher._records.get(partition)
    if consumer._subscription.reassignment_in_progress or fetched is None:
        return [], None
    if not isinstance(fetched, FetchResult):
        return [], _why_nothing_came(consumer, partition)
    records, why = _read(fetched, max_bytes)
    if not fetched.has_more():
        _make_room(consumer, partition)
    return records, why


def _make_room(consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
    """Drop what was fetched of the partition: more is fetched then."""
    del consumer._fetcher._records[partition]
    consumer._fetcher._notify(consumer._fetcher._wait_consume_future)


def _read(fetched: FetchResult, max_bytes: int) -> tuple[list[Record], str | None]:
    records: list[Record] = []
    why = None
    if not fetched.check_assignment(fetched._topic_partition):
        return records, why
    try:
        for record in fetched._partition_records:
            records.append(record)
            max_bytes -= record_bytes(record)
            if max_bytes <= 0:
                break
    except MemoryError:
        raise
    except Exception as error:
        # It only computes, on bytes that are here: whatever it raises, it would raise again.
        why = f"{type(error).__name__}: {error}"
    fetched._update_position()
    if max_bytes > 0 and why is None:
        fetched._partition_records = None
    return records, why


def _why_nothing_came(consumer: AIOKafkaConsumer, partition: TopicPartition) -> str:
    error = consumer._fetcher._records[partition]._error
    if not isinstance(error, RecordTooLargeError):
        _make_room(consumer, partition)
        raise error
    # aiokafka has stepped over one offset, and would go on so through the whole batch.
    state = consumer._subscription.subscription.assignment.state_value(partition)
    state.seek(state.position - 1)
    return "a batch says that it is longer than what the broker sent"
