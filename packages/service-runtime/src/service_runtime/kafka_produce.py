"""Batches for one log and for no other: the Produce request that names a topic by its id.

aiokafka stops at version 7, which gives the topic's name: once the topic is created again, batches go into
the new log and nobody notices. With version 13 (Kafka 4.1) the leader compares the id with its own log's and
refuses what is for another one, so that an acknowledgement proves in which log a batch is.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import BrokerResponseError, kafka_errors
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.produce import ProduceRequest, ProduceResponse_v8
from aiokafka.protocol.types import CompactArray, CompactBytes, Int16, Int32, Int64, Schema

from service_runtime.kafka_topic_id import NAME, NO_TAGS, TAGS, Uuid


class UnknownTopicIdError(BrokerResponseError):  # type: ignore[misc] # aiokafka has no types
    """No topic has this id any more. aiokafka knows no such code."""

    errno = 100
    message = "UNKNOWN_TOPIC_ID"
    description = "The topic was deleted, and perhaps created again"


kafka_errors[UnknownTopicIdError.errno] = UnknownTopicIdError


class _ProduceResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 0, 13
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id", Uuid),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("offset", Int64),
                        ("timestamp", Int64),
                        ("log_start_offset", Int64),
                        ("record_errors", CompactArray(("batch_index", Int32), ("message", NAME), TAGS)),
                        ("error_message", NAME),
                        TAGS,
                    ),
                ),
                TAGS,
            ),
        ),
        ("throttle_time_ms", Int32),
        TAGS,
    )


class _ProduceRequestStruct(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION = 0, 13
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _ProduceResponse
    SCHEMA = Schema(
        ("transactional_id", NAME),
        ("required_acks", Int16),
        ("timeout", Int32),
        (
            "topics",
            CompactArray(
                ("topic_id", Uuid),
                ("partitions", CompactArray(("partition", Int32), ("messages", CompactBytes), TAGS)),
                TAGS,
            ),
        ),
        TAGS,
    )


class _ProduceById(Request[_ProduceRequestStruct]):  # type: ignore[misc]
    API_KEY = 0

    def __init__(self, by_name: ProduceRequest, topic_ids: Mapping[str, UUID]) -> None:
        self._by_name = by_name
        self._topic_ids = topic_ids

    def build(self, request_struct_class: type[_ProduceRequestStruct]) -> _ProduceRequestStruct:
        request = self._by_name
        topics = [
            (self._topic_ids[name], [(*partition, NO_TAGS) for partition in partitions], NO_TAGS)
            for name, partitions in request._topics
        ]
        return request_struct_class(None, request.required_acks, request._timeout, topics, NO_TAGS)


def produce_by_id(client: AIOKafkaClient, topic_ids: Mapping[str, UUID]) -> None:
    """Make the client name topics by these ids where its producer names them: each must be there by then."""
    send = client.send

    async def send_by_id(node: int, request: Request[Any], **options: object) -> object:
        if not isinstance(request, ProduceRequest):
            return await send(node, request, **options)
        answer = await send(node, _ProduceById(request, topic_ids), **options)
        names = {topic_ids[name]: name for name, _ in request._topics}
        topics = [
            (names[topic_id], [partition[:-1] for partition in partitions])
            for topic_id, partitions, _ in answer.topics
        ]
        return ProduceResponse_v8(topics, answer.throttle_time_ms)

    client.send = send_by_id
