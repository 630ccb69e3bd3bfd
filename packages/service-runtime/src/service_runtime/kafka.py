"""The real broker: aiokafka behind the protocols of `broker.py`."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)

from service_runtime.broker import BrokerUnavailable, LoginRefused, UnknownTopic
from service_runtime.settings import KafkaSettings

SASL_MECHANISM = "SCRAM-SHA-512"
# A request that a stalled broker never answers is given up after this long and tried again.
REQUEST_TIMEOUT_MS = 5_000
# Leaving politely is worth this long; what is left then is dropped, and its owner never saw an ack.
STOP_SECONDS = 5.0
LOGIN_REFUSED = (SaslAuthenticationFailed, UnsupportedSaslMechanismError, IllegalSaslStateError)
NOT_ALLOWED = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
)


class Client(Protocol):
    """What aiokafka's clients have in common."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Disconnect."""


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Return aiokafka's arguments for reaching the brokers and logging in."""
    protocol, password = kafka.kafka_security_protocol, kafka.kafka_password
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.kafka_bootstrap_servers,
        "security_protocol": protocol,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    if password is not None:
        options |= {
            "sasl_mechanism": SASL_MECHANISM,
            "sasl_plain_username": kafka.kafka_username,
            "sasl_plain_password": password.get_secret_value(),
        }
    if protocol.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context(cafile=kafka.kafka_ca_file)
    return options


async def start(client: Client, kafka: KafkaSettings) -> None:
    """Start a client of aiokafka, or stop it for good; raises BrokerUnavailable."""
    try:
        await log_in(kafka)
        with not_now(kafka):
            await client.start()
    except BaseException:
        await client.stop()
        raise


async def log_in(kafka: KafkaSettings) -> None:
    """Log in to the first broker that answers; raises LoginRefused, or BrokerUnavailable when none does.

    Without asking first nobody hears why: aiokafka's clients only say that they could not bootstrap.
    """
    options = client_options(kafka)
    reason: Exception = ValueError("no bootstrap servers")
    for host, port, _ in collect_hosts(options.pop("bootstrap_servers")):
        try:
            connection = await create_conn(host, port, **options)
        except (KafkaError, OSError) as error:
            reason = error
            if isinstance(error, LOGIN_REFUSED):
                break
        else:
            connection.close()
            return
    raise unavailable(reason, kafka) from reason


@contextmanager
def not_now(kafka: KafkaSettings) -> Iterator[None]:
    """Raise BrokerUnavailable for whatever the block raises; put calls of aiokafka into it, nothing else.

    A broker that answers nonsense or a topic that shrinks ends in its AssertionErrors and TypeErrors too.
    """
    try:
        yield
    except BrokerUnavailable:
        raise
    except Exception as error:
        raise unavailable(error, kafka) from error


def unavailable(error: Exception, kafka: KafkaSettings) -> BrokerUnavailable:
    """Say what aiokafka ran into, as one of our words for "not now"."""
    if isinstance(error, UnknownTopicOrPartitionError):
        return UnknownTopic("the topic does not exist: run the migrations")
    user = f"user {kafka.kafka_username or 'ANONYMOUS'!r}"
    if isinstance(error, LOGIN_REFUSED):
        return LoginRefused(f"not allowed to log in: {user}, check the password ({error})")
    if isinstance(error, NOT_ALLOWED):
        return BrokerUnavailable(f"not allowed to {_use_of(error)}: {user}, check the ACLs")
    if isinstance(error, TimeoutError):
        return BrokerUnavailable("no broker answered in time")
    return BrokerUnavailable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def _use_of(error: KafkaError) -> str:
    if isinstance(error, ClusterAuthorizationFailedError):
        return "write to any topic"
    what = "use the topic" if isinstance(error, TopicAuthorizationFailedError) else "join the group"
    return what + "".join(f" {name!r}" for name in error.args)


def unknown_topic(topic: str, kafka: KafkaSettings) -> UnknownTopic:
    """Say that the topic is not there, or hidden from who may not use it."""
    hidden = f", or user {kafka.kafka_username!r} may not see it" if kafka.kafka_username else ""
    return UnknownTopic(f"topic {topic!r} does not exist{hidden}: run the migrations")
