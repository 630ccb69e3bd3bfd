"""Which log a partition's offsets count in: a question of ours to its leader.

aiokafka stops at version 5 of the Metadata request; the topic's id comes with version 12.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping
from io import BytesIO

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaError,
    LeaderNotAvailableError,
    NoBrokersAvailable,
    NotLeaderForPartitionError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from service_runtime.broker import LogIdentity, Topic

NAME, TAGS = CompactString("utf-8"), ("tags", TaggedFields)
NO_TAGS: dict[int, bytes] = {}
NO_ID = uuid.UUID(int=0)


class Uuid(AbstractType[uuid.UUID]):  # type: ignore[misc]
    """16 bytes."""

    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        """Return the bytes."""
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        """Read the bytes."""
        return uuid.UUID(bytes=data.read(16))


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(("node_id", Int32), ("host", NAME), ("port", Int32), ("rack", NAME), TAGS)),
        ("cluster_id", NAME),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", NAME),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        TAGS,
                    ),
                ),
                ("authorized_operations", Int32),
                TAGS,
            ),
        ),
        TAGS,
    )


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", Uuid), ("name", NAME), TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_authorized_operations", Boolean),
        TAGS,
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequestStruct]) -> _MetadataRequestStruct:
        by_name = [(NO_ID, topic, NO_TAGS) for topic in self._topics]
        return request_struct_class(by_name, False, False, NO_TAGS)


async def topic_now(client: AIOKafkaClient, name: str) -> Topic:
    """Ask the brokers, one after the other, what the topic is now; raises what aiokafka raises.

    A broker that is behind may tell an id that is no more. The leaders refuse batches for it.
    """
    reason: KafkaError = NoBrokersAvailable()
    for broker in client.cluster.brokers():
        try:
            answer = await client.send(broker.nodeId, _MetadataRequest([name]))
        except KafkaError as error:
            reason = error
            continue
        ((code, _name, topic_id, _internal, partitions, *_),) = answer.topics
        if code:
            raise for_code(code)(name)
        return Topic(topic_id, len(partitions))
    raise reason


async def log_identities(
    client: AIOKafkaClient, partitions: Collection[TopicPartition]
) -> Mapping[TopicPartition, LogIdentity]:
    """Ask each partition's leader which log it serves; raises what aiokafka raises.

    Whose leader nobody knows is asked of any broker, which tells a topic that is not there from one
    that has no leader.
    """
    by_node: defaultdict[int, list[TopicPartition]] = defaultdict(list)
    for partition in partitions:
        leader = client.cluster.leader_for_partition(partition)
        by_node[client.get_random_node() if leader in {None, -1} else leader].append(partition)
    try:
        answers = [await _ask(client, node, asked) for node, asked in by_node.items()]
    except (UnknownTopicOrPartitionError, NotLeaderForPartitionError, LeaderNotAvailableError):
        client.force_metadata_update()
        raise
    return {partition: identity for answer in answers for partition, identity in answer.items()}


async def _ask(
    client: AIOKafkaClient, node: int, partitions: list[TopicPartition]
) -> dict[TopicPartition, LogIdentity]:
    answer = await client.send(node, _MetadataRequest(sorted({p.topic for p in partitions})))
    found: dict[TopicPartition, LogIdentity] = {}
    for code, name, topic_id, _internal, numbers, *_ in answer.topics:
        if code:
            raise for_code(code)(name)
        for _code, number, leader, epoch, *_replicas in numbers:
            if (partition := TopicPartition(name, number)) in partitions:
                if leader != node:
                    raise NotLeaderForPartitionError(f"broker {node} says that {leader} leads {partition}")
                found[partition] = LogIdentity(topic_id, epoch)
    if missing := set(partitions) - found.keys():
        raise UnknownTopicOrPartitionError(*missing)
    return found
