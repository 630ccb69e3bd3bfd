"""What is said when Cassandra lets nobody in."""

import ssl
from pathlib import Path
from typing import Any

import certifi
import pytest
from cassandra import AuthenticationFailed
from cassandra.cluster import Cluster, NoHostAvailable
from pydantic import SecretStr
from service_runtime.cassandra import LoginRefused, cassandra_session
from service_runtime.settings import CassandraSettings

LOGIN = CassandraSettings(cassandra_username="me", cassandra_password=SecretStr("s3cret"))
AUTHORITIES = Path(certifi.where())
REFUSED = {"127.0.0.1:9042": AuthenticationFailed("Bad credentials")}

NO_REPLICAS = "Unable to perform authentication: Cannot achieve consistency level QUORUM"


def connecting_raises(monkeypatch: pytest.MonkeyPatch, errors: object) -> None:
    def connect(_: Cluster, *__: Any) -> None:
        raise NoHostAvailable("Unable to connect to any servers", errors)

    monkeypatch.setattr(Cluster, "connect", connect)


def test_a_refused_login_names_the_user_and_not_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    connecting_raises(monkeypatch, REFUSED)
    with (
        pytest.raises(LoginRefused, match="user 'me', check the password") as error,
        cassandra_session(LOGIN),
    ):
        pass
    assert "s3cret" not in str(error.value)


def test_no_login_where_one_is_wanted_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    connecting_raises(monkeypatch, REFUSED)
    with (
        pytest.raises(LoginRefused, match="it wants a user and a password"),
        cassandra_session(CassandraSettings()),
    ):
        pass


@pytest.mark.parametrize(
    "errors",
    [
        {"127.0.0.1:9042": OSError("timed out")},
        {"127.0.0.1:9042": AuthenticationFailed(f'[Bad credentials] message="{NO_REPLICAS}"')},
        ["127.0.0.1:9042"],
    ],
)
def test_a_server_that_is_away_is_no_refusal(monkeypatch: pytest.MonkeyPatch, errors: object) -> None:
    connecting_raises(monkeypatch, errors)
    with pytest.raises(NoHostAvailable), cassandra_session(LOGIN):
        pass


@pytest.mark.parametrize("contact_points", ["localhost", "localhost, 127.0.0.1"])
def test_every_node_must_bear_the_name_of_the_first_contact_point(
    monkeypatch: pytest.MonkeyPatch, contact_points: str
) -> None:
    made: list[Cluster] = []

    def connect(cluster: Cluster) -> None:
        made.append(cluster)

    monkeypatch.setattr(Cluster, "connect", connect)
    told = CassandraSettings(cassandra_contact_points=contact_points, cassandra_ca_file=AUTHORITIES)
    with cassandra_session(told):
        pass
    (cluster,) = made
    assert cluster.ssl_options == {"server_hostname": "localhost"}
    assert cluster.ssl_context.check_hostname
    assert cluster.ssl_context.verify_mode == ssl.CERT_REQUIRED
