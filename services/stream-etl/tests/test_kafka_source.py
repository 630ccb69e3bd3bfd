"""How Spark's connector is told where Kafka is and how to log in."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from service_runtime.settings import KafkaSettings
from stream_etl.source import client_options

MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule required"


def login(password: str, **more: object) -> KafkaSettings:
    told = {
        "kafka_security_protocol": "SASL_SSL",
        "kafka_username": "me",
        "kafka_password": SecretStr(password),
    }
    return KafkaSettings.model_validate(told | more)


def test_without_a_login_only_the_address_is_told() -> None:
    assert client_options(KafkaSettings()) == {
        "kafka.bootstrap.servers": "localhost:9092",
        "kafka.security.protocol": "PLAINTEXT",
    }


@pytest.mark.parametrize(
    ("password", "quoted"),
    [
        ("plain", '"plain"'),
        ('a"; x="b', r'"a\"; x=\"b"'),
        ("back\\slash", r'"back\\slash"'),
        ("two\nlines", r'"two\nlines"'),
        ("it's", '"it\'s"'),
    ],
)
def test_a_password_ends_where_its_quotes_end(password: str, quoted: str) -> None:
    options = client_options(login(password))
    assert options["kafka.sasl.mechanism"] == "SCRAM-SHA-512"
    assert options["kafka.sasl.jaas.config"] == f'{MODULE} username="me" password={quoted};'


def test_a_ca_file_becomes_the_truststore(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("")
    options = client_options(login("a", kafka_ca_file=ca))
    assert options["kafka.ssl.truststore.type"] == "PEM"
    assert options["kafka.ssl.truststore.location"] == str(ca)
