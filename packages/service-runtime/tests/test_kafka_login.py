"""What aiokafka is told of a login, and what is said of a refusal."""

import asyncio
import socket

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)
from pydantic import SecretStr
from service_runtime.broker import BrokerUnavailable, LoginRefused
from service_runtime.kafka import client_options, log_in, unavailable
from service_runtime.settings import KafkaSettings

LOGIN = KafkaSettings(
    kafka_security_protocol="SASL_PLAINTEXT", kafka_username="me", kafka_password=SecretStr("s3cret")
)


def test_without_a_login_nothing_is_said_of_one() -> None:
    options = client_options(KafkaSettings())
    assert options["security_protocol"] == "PLAINTEXT"
    assert not {name for name in options if name.startswith(("sasl", "ssl"))}


def test_a_login_is_by_scram_sha_512() -> None:
    options = client_options(LOGIN)
    assert {name: value for name, value in options.items() if name.startswith("sasl")} == {
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "me",
        "sasl_plain_password": "s3cret",
    }


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
def test_tls_verifies_the_broker(protocol: str) -> None:
    context = client_options(LOGIN.model_copy(update={"kafka_security_protocol": protocol}))["ssl_context"]
    assert context.check_hostname


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SaslAuthenticationFailed("bad"), "not allowed to log in: user 'me', check the password"),
        (
            TopicAuthorizationFailedError("pins"),
            "not allowed to use the topic 'pins': user 'me', check the ACLs",
        ),
        (GroupAuthorizationFailedError("g"), "not allowed to join the group 'g': user 'me', check the ACLs"),
        (ClusterAuthorizationFailedError(), "not allowed to write to any topic: user 'me', check the ACLs"),
    ],
)
def test_a_refusal_names_the_user_and_what_to_check(error: KafkaError, said: str) -> None:
    reason = unavailable(error, LOGIN)
    assert str(reason).startswith(said)
    assert isinstance(reason, LoginRefused) == isinstance(error, SaslAuthenticationFailed)
    assert "s3cret" not in str(reason)


async def test_who_does_not_answer_is_said_not_hidden_behind_could_not_bootstrap() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(BrokerUnavailable, match="ConnectionRefusedError"):
        await asyncio.wait_for(log_in(KafkaSettings(kafka_bootstrap_servers=address)), 10)
