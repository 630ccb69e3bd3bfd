"""The one way we log in to Cassandra (extra `cassandra`)."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cassandra import AuthenticationFailed, ConsistencyLevel, DriverException
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.policies import ConstantReconnectionPolicy, DCAwareRoundRobinPolicy, TokenAwarePolicy

from service_runtime.settings import CassandraSettings

if TYPE_CHECKING:
    from cassandra.cluster import Session

REQUEST_SECONDS = 10
RECONNECT_SECONDS = 2
NO_QUORUM = "Cannot achieve consistency level"
# Nobody answers, too few replicas do, none in time, or the tables are not there yet: all pass, and every
# write of ours may be repeated.
NOT_NOW = (NoHostAvailable, DriverException, OSError)


class LoginRefused(DriverException):  # type: ignore[misc]
    """No such role, another password, or none given where one is wanted."""


@contextmanager
def cassandra_session(
    settings: CassandraSettings, request_seconds: float = REQUEST_SECONDS
) -> "Iterator[Session]":
    """Connect, and close at the end; raises one of NOT_NOW. Statements name their keyspace.

    A refused login is one of them, LoginRefused: somebody may be about to make the role.
    `request_seconds` is for one answer, and for the nodes to agree on a schema that a statement has changed.
    A session with a keyspace of its own makes Cassandra warn of each prepared statement.
    """
    profile = ExecutionProfile(
        TokenAwarePolicy(DCAwareRoundRobinPolicy()),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=request_seconds,
    )
    hosts = [host.strip() for host in settings.cassandra_contact_points.split(",")]
    cluster = Cluster(
        hosts,
        port=settings.cassandra_port,
        # The driver's own 5 and 2 seconds are too short on a busy machine.
        connect_timeout=REQUEST_SECONDS,
        control_connection_timeout=REQUEST_SECONDS,
        max_schema_agreement_wait=request_seconds,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        # The driver's own pauses grow to ten minutes: longer than a job waits.
        reconnection_policy=ConstantReconnectionPolicy(RECONNECT_SECONDS, max_attempts=None),
        protocol_version=5,
        **_login(settings, hosts),
    )
    try:
        yield _connected(cluster, settings)
    finally:
        cluster.shutdown()


def _login(settings: CassandraSettings, hosts: list[str]) -> dict[str, Any]:
    login: dict[str, Any] = {}
    if settings.cassandra_password is not None:
        login["auth_provider"] = PlainTextAuthProvider(
            settings.cassandra_username, settings.cassandra_password.get_secret_value()
        )
    if settings.cassandra_ca_file:
        login["ssl_context"] = ssl.create_default_context(cafile=settings.cassandra_ca_file)
        # Else a node's certificate is held against its IP address, and certificates bear names (ADR 14).
        login["ssl_options"] = {"server_hostname": hosts[0]}
    return login


def _connected(cluster: Cluster, settings: CassandraSettings) -> "Session":
    try:
        return cluster.connect()
    except NoHostAvailable as error:
        # A list of addresses where the first connection was let in, and none of a pool was.
        causes = error.errors.values() if isinstance(error.errors, dict) else ()
        for cause in causes:
            # A node that cannot ask enough replicas for the role says the same in other words.
            if isinstance(cause, AuthenticationFailed) and NO_QUORUM not in str(cause):
                user = settings.cassandra_username
                reason = f"user {user!r}, check the password" if user else "it wants a user and a password"
                raise LoginRefused(f"Cassandra refused the login: {reason} ({cause})") from error
        raise
