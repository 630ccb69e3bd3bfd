"""The one way we log in to Cassandra (extra `cassandra`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cassandra import ConsistencyLevel, DriverException
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.policies import ConstantReconnectionPolicy, DCAwareRoundRobinPolicy, TokenAwarePolicy

from service_runtime.settings import CassandraSettings

if TYPE_CHECKING:
    from cassandra.cluster import Session

CONNECT_SECONDS = 5
REQUEST_SECONDS = 10
RECONNECT_SECONDS = 2
# Nobody answers, too few replicas do, none in time, or the tables are not there yet: all pass, and every
# write of ours may be repeated.
NOT_NOW = (NoHostAvailable, DriverException, OSError)


@contextmanager
def cassandra_session(
    settings: CassandraSettings, request_seconds: float = REQUEST_SECONDS
) -> "Iterator[Session]":
    """Connect, and close at the end; raises one of NOT_NOW. Statements name their keyspace.

    `request_seconds` is for one answer, and for the nodes to agree on a schema that a statement has changed.
    A session with a keyspace of its own makes Cassandra warn of each prepared statement.
    """
    profile = ExecutionProfile(
        TokenAwarePolicy(DCAwareRoundRobinPolicy()),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=request_seconds,
    )
    cluster = Cluster(
        [host.strip() for host in settings.cassandra_contact_points.split(",")],
        port=settings.cassandra_port,
        connect_timeout=CONNECT_SECONDS,
        max_schema_agreement_wait=request_seconds,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        # The driver's own pauses grow to ten minutes: longer than a job waits.
        reconnection_policy=ConstantReconnectionPolicy(RECONNECT_SECONDS, max_attempts=None),
        protocol_version=5,
    )
    try:
        yield cluster.connect()
    finally:
        cluster.shutdown()
