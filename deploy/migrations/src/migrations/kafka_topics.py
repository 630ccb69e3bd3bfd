"""Creates the topics and keeps their configuration; never changes a partition count."""

import asyncio
import tomllib
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidConfigurationError,
    InvalidTopicError,
    KafkaError,
    TopicAuthorizationFailedError,
    for_code,
)
from service_runtime.broker import BrokerUnavailable, LoginRefused
from service_runtime.kafka import client_options, log_in

from migrations.errors import RefusedError
from migrations.progress import Plan, until_it_answers
from migrations.settings import MigrateSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Where a configuration value comes from, in Kafka's protocol: set on this very topic.
TOPIC_CONFIG = 1
POLL_SECONDS = 0.1
NOT_YET = (BrokerUnavailable, KafkaError, OSError)
# Kafka's answers that no waiting changes; too few brokers for the replicas is not one of them.
NEVER = (
    ClusterAuthorizationFailedError,
    InvalidConfigurationError,
    InvalidTopicError,
    TopicAuthorizationFailedError,
)


@dataclass(frozen=True)
class Topic:
    """A topic as it is, or as it is wanted; `config` holds what is set on the topic itself."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str] = field(default_factory=dict)


def wanted_topics(settings: MigrateSettings) -> list[Topic]:
    """Read topics.toml and fill in the settings."""
    listed = tomllib.loads((files("migrations") / "topics.toml").read_text(encoding="utf-8"))["topics"]
    return [
        Topic(
            name=item["name"].format(topic=settings.kafka_topic),
            partitions=item.get("partitions", settings.kafka_partitions),
            replication_factor=settings.kafka_replication_factor,
            config={
                name: value.format(retention_bytes=settings.kafka_retention_bytes)
                for name, value in item["config"].items()
            }
            | {"min.insync.replicas": str(settings.kafka_min_insync_replicas)},
        )
        for item in listed
    ]


async def migrate(settings: MigrateSettings, plan: Plan) -> None:
    """Leave every topic as topics.toml wants it; raise RefusedError where that would move pins."""
    async with _connected(settings) as admin:
        for topic in wanted_topics(settings):
            ensure = partial(_ensure, admin, topic, plan)
            await until_it_answers("Kafka", settings.kafka_bootstrap_servers, ensure, NOT_YET)


@asynccontextmanager
async def _connected(settings: MigrateSettings) -> "AsyncIterator[AIOKafkaAdminClient]":
    async def connect() -> AIOKafkaAdminClient:
        try:
            await log_in(settings)
        except LoginRefused as error:
            raise RefusedError(f"Kafka: {error}") from error
        admin = AIOKafkaAdminClient(**client_options(settings))
        try:
            await admin.start()
        except BaseException:
            await admin.close()
            raise
        return admin

    admin = await until_it_answers("Kafka", settings.kafka_bootstrap_servers, connect, NOT_YET)
    try:
        yield admin
    finally:
        await admin.close()


async def _ensure(admin: AIOKafkaAdminClient, wanted: Topic, plan: Plan) -> None:
    found = await _describe(admin, wanted.name)
    if found is None:
        change = f"create topic {wanted.name}"
        if plan.does(
            change, partitions=wanted.partitions, replicas=wanted.replication_factor, **wanted.config
        ):
            await _create(admin, wanted)
        return
    _refuse_other_shape(wanted, found)
    different = {name: value for name, value in wanted.config.items() if found.config.get(name) != value}
    if different and plan.does(f"alter topic {wanted.name}", **different):
        await _alter(admin, wanted.name, dict(found.config) | different)


def _refuse_other_shape(wanted: Topic, found: Topic) -> None:
    if found.partitions != wanted.partitions:
        raise RefusedError(
            f"topic {wanted.name} has {found.partitions} partitions and {wanted.partitions} are wanted: "
            "another count sends the key of a pin to another partition, so nothing was changed. Ask for "
            f"{found.partitions} (MIGRATE_KAFKA_PARTITIONS, topics.toml), or move the pins to a new topic"
        )
    if found.replication_factor != wanted.replication_factor:
        raise RefusedError(
            f"topic {wanted.name} has {found.replication_factor} replicas and {wanted.replication_factor} "
            "are wanted: replicas are moved with kafka-reassign-partitions, so nothing was changed. Set "
            f"MIGRATE_KAFKA_REPLICATION_FACTOR={found.replication_factor}, or reassign first"
        )


async def _describe(admin: AIOKafkaAdminClient, name: str) -> Topic | None:
    # All topics are listed: to ask for one by name would create it on a broker with auto-create.
    metadata = {item["topic"]: item for item in await admin.describe_topics()}
    if name not in metadata:
        return None
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    code, message, _, _, entries = answer.resources[0]
    _raise_on(code, f"describe {name}: {message}")
    partitions = metadata[name]["partitions"]
    return Topic(
        name=name,
        partitions=len(partitions),
        replication_factor=len(partitions[0]["replicas"]),
        config={entry[0]: entry[1] for entry in entries if entry[3] == TOPIC_CONFIG},
    )


async def _create(admin: AIOKafkaAdminClient, topic: Topic) -> None:
    new = NewTopic(topic.name, topic.partitions, topic.replication_factor, topic_configs=dict(topic.config))
    answer = await admin.create_topics([new])
    # Should somebody else have been faster, the next look at the topic tells whether it is the one we want.
    for name, code, message in answer.topic_errors:
        _raise_on(code, f"create {name}: {message}")
    while True:
        # The controller has it; whoever asks a broker next must find it too.
        if await _describe(admin, topic.name) is not None:
            return
        await asyncio.sleep(POLL_SECONDS)


async def _alter(admin: AIOKafkaAdminClient, name: str, config: dict[str, str]) -> None:
    # The request replaces all that is set on the topic, so what was set before is sent along.
    answers = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, config)])
    for code, message, *_ in (item for answer in answers for item in answer.resources):
        _raise_on(code, f"alter {name}: {message}")


def _raise_on(code: int, what: str) -> None:
    if code:
        error: Any = for_code(code)
        if issubclass(error, NEVER):
            raise RefusedError(
                f"Kafka refused to {what} ({error.__name__}): correct topics.toml or the rights"
            )
        raise error(what)
