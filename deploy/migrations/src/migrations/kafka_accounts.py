"""Makes the services' users and leaves each exactly the rights it needs (SCRAM-SHA-512, ACLs)."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from pydantic import SecretStr
from service_runtime.broker import BrokerUnavailable, LoginRefused
from service_runtime.kafka import SASL_MECHANISM, log_in
from service_runtime.settings import KafkaSettings

from migrations.errors import RefusedError
from migrations.kafka_topics import wanted_topics
from migrations.progress import Plan, until_it_answers
from migrations.settings import MigrateSettings

ITERATIONS = 8192
# Spark appends a UUID to its own, the sink is told its group by a setting.
SPARK_GROUPS = "spark-kafka-source"
SINK_GROUPS = "s3-sink"
NOT_YET = (BrokerUnavailable, KafkaException)
NEVER = {
    KafkaError.SECURITY_DISABLED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.INVALID_REQUEST,
}


@dataclass(frozen=True)
class Account:
    """A user and all it may do."""

    name: str
    password: SecretStr
    rights: frozenset[AclBinding]


def wanted_accounts(settings: MigrateSettings) -> list[Account]:
    """Return the accounts whose passwords are told."""
    pins, dead_letters = (topic.name for topic in wanted_topics(settings))
    told = [
        # To write includes to see the topic and to be an idempotent producer, to read includes to see it.
        ("ingest-api", settings.kafka_ingest_password, [_topic(pins, AclOperation.WRITE)]),
        (
            "s3-sink",
            settings.kafka_sink_password,
            [
                _topic(pins, AclOperation.READ),
                _topic(dead_letters, AclOperation.WRITE),
                _groups(SINK_GROUPS),
            ],
        ),
        (
            "stream-etl",
            settings.kafka_stream_password,
            [_topic(pins, AclOperation.READ), _groups(SPARK_GROUPS)],
        ),
        # Whoever counts what arrived where: it reads without a group.
        (
            "auditor",
            settings.kafka_auditor_password,
            [_topic(pins, AclOperation.READ), _topic(dead_letters, AclOperation.READ)],
        ),
    ]
    return [
        Account(name, password, frozenset(_right(name, *right) for right in rights))
        for name, password, rights in told
        if password is not None
    ]


Right = tuple[ResourceType, str, ResourcePatternType, AclOperation]


def _topic(name: str, operation: AclOperation) -> Right:
    return ResourceType.TOPIC, name, ResourcePatternType.LITERAL, operation


def _groups(prefix: str) -> Right:
    return ResourceType.GROUP, prefix, ResourcePatternType.PREFIXED, AclOperation.READ


def _right(
    user: str, kind: ResourceType, name: str, pattern: ResourcePatternType, operation: AclOperation
) -> AclBinding:
    return AclBinding(kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)


async def migrate(settings: MigrateSettings, plan: Plan) -> None:
    """Leave every account with its password and its rights, and no other rights."""
    if not (accounts := wanted_accounts(settings)):
        return
    admin = AdminClient(admin_options(settings))

    async def attempt() -> None:
        try:
            for account in accounts:
                await _ensure_login(admin, account, settings, plan)
                await _ensure_rights(admin, account, plan)
        except KafkaException as error:
            if error.args[0].code() in NEVER:
                raise RefusedError(f"Kafka refused to change its accounts: {error.args[0].str()}") from error
            raise

    await until_it_answers("Kafka", settings.kafka_bootstrap_servers, attempt, NOT_YET)


def admin_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the options of librdkafka for reaching the brokers and logging in."""
    options: dict[str, Any] = {
        "bootstrap.servers": kafka.kafka_bootstrap_servers,
        "security.protocol": kafka.kafka_security_protocol,
        # What goes wrong is in the exceptions.
        "log_level": 0,
    }
    if kafka.kafka_password is not None:
        options |= {
            "sasl.mechanism": SASL_MECHANISM,
            "sasl.username": kafka.kafka_username,
            "sasl.password": kafka.kafka_password.get_secret_value(),
        }
    if kafka.kafka_ca_file:
        options["ssl.ca.location"] = str(kafka.kafka_ca_file)
    return options


async def _ensure_login(admin: AdminClient, account: Account, settings: MigrateSettings, plan: Plan) -> None:
    if await _logs_in(account, settings) or not plan.does("set the password in Kafka", user=account.name):
        return
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
    password = account.password.get_secret_value().encode()
    upsertion = UserScramCredentialUpsertion(account.name, info, password)
    await _all(admin.alter_user_scram_credentials([upsertion]).values())


async def _logs_in(account: Account, settings: MigrateSettings) -> bool:
    login = {"kafka_username": account.name, "kafka_password": account.password}
    try:
        await log_in(settings.model_copy(update=login))
    except LoginRefused:
        return False
    return True


async def _ensure_rights(admin: AdminClient, account: Account, plan: Plan) -> None:
    everything = AclBindingFilter(
        ResourceType.ANY,
        None,
        ResourcePatternType.ANY,
        f"User:{account.name}",
        None,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    found = frozenset(await asyncio.wrap_future(admin.describe_acls(everything)))
    missing, unwanted = account.rights - found, found - account.rights
    if missing and plan.does("grant in Kafka", user=account.name, rights=_told(missing)):
        await _all(admin.create_acls(list(missing)).values())
    if unwanted and plan.does("revoke in Kafka", user=account.name, rights=_told(unwanted)):
        await _all(admin.delete_acls([_exactly(right) for right in unwanted]).values())


def _told(rights: Iterable[AclBinding]) -> str:
    return ", ".join(sorted(f"{right.operation.name} {right.restype.name} {right.name}" for right in rights))


def _exactly(right: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        right.restype,
        right.name,
        right.resource_pattern_type,
        right.principal,
        right.host,
        right.operation,
        right.permission_type,
    )


async def _all(futures: Iterable["Future[Any]"]) -> None:
    await asyncio.gather(*map(asyncio.wrap_future, futures))
