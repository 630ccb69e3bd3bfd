"""Records by bytes out of what aiokafka has fetched, where its own `getmany` counts records.

A fetch is bounded in compressed bytes and may inflate some 400 times. aiokafka keeps it compressed and
inflates a batch when its first record is read: this is its `fetched_records`, stopped by a sum of bytes.
"""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult

from service_runtime.broker import Record, record_bytes


def read_fetched(consumer: AIOKafkaConsumer, partition: TopicPartition, max_bytes: int) -> list[Record]:
    """Read what was fetched of the partition until the records hold `max_bytes` (above 0).

    Raises what aiokafka raises for the first record; later ones wait for the next call.
    """
    fetcher = consumer._fetcher
    fetched = fetcher._records.get(partition)
    # During a rebalance records may belong to another already; errors are for `getmany` to raise.
    if consumer._subscription.reassignment_in_progress or not isinstance(fetched, FetchResult):
        return []
    records = _read(fetched, max_bytes)
    if not fetched.has_more():
        del fetcher._records[partition]
        fetcher._notify(fetcher._wait_consume_future)
    return records


def _read(fetched: FetchResult, max_bytes: int) -> list[Record]:
    records: list[Record] = []
    if not fetched.check_assignment(fetched._topic_partition):
        return records
    try:
        for record in fetched._partition_records:
            records.append(record)
            max_bytes -= record_bytes(record)
            if max_bytes <= 0:
                break
    except Exception:
        if not records:
            raise
    fetched._update_position()
    if max_bytes > 0:
        fetched._partition_records = None
    return records
