"""Record batches made byte by byte: what another client may write and aiokafka cannot decode."""

import struct
from collections.abc import Sequence

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from service_runtime.kafka import client_options
from service_runtime.settings import KafkaSettings

GZIP, LZ4 = 1, 3
HEADER_NAME = "name"
# Where a batch has its length and its checksum, both of what follows them.
LENGTH_AT, CRC_AT = 8, 17


def raw_batch(values: Sequence[bytes], *, codec: int = 0) -> bytes:
    """Return a batch of records, each with a header."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1024 * 1024,
    )
    for number, value in enumerate(values):
        builder.append(number, 0, None, value, [(HEADER_NAME, b"value")])
    return bytes(builder.build())


def sealed(batch: bytes) -> bytes:
    """Return the batch with the length and the checksum that fit what it holds now."""
    raw = bytearray(batch)
    struct.pack_into(">i", raw, LENGTH_AT, len(raw) - LENGTH_AT - 4)
    struct.pack_into(">I", raw, CRC_AT, calc_crc32c(bytes(raw[CRC_AT + 4 :])))
    return bytes(raw)


def with_foreign_header_names(values: Sequence[bytes]) -> bytes:
    """Return a batch whose header names are no UTF-8, which brokers take."""
    return sealed(raw_batch(values).replace(HEADER_NAME.encode(), b"n\xff\xfee"))


def with_trailing_bytes(values: Sequence[bytes], codec: int) -> bytes:
    """Return a batch with something behind its compressed records, which brokers take but for zstd."""
    return sealed(raw_batch(values, codec=codec) + b"something")


async def produce_raw(kafka: KafkaSettings, to: TopicPartition, batch: bytes) -> int:
    """Write a batch; return its first offset. Raises the broker's refusal."""
    options = client_options(kafka)
    client = AIOKafkaClient(**options)
    await client.bootstrap()
    try:
        await client.set_topics([to.topic])
        leader = client.cluster.leader_for_partition(to)
        topics = [(to.topic, [(to.partition, batch)])]
        request = ProduceRequest(transactional_id=None, required_acks=-1, timeout=5000, topics=topics)
        answer = await client.send(leader, request)
        ((_, ((_, code, offset, *_),)),) = answer.topics
        if code:
            raise for_code(code)
        return int(offset)
    finally:
        await client.close()
