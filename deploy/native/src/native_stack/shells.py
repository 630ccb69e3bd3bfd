"""Tools of the servers: cqlsh, psql and Kafka's own, told where the stack's servers are."""

import os
from collections.abc import Sequence
from pathlib import Path

from migrations.postgres import SCHEMA

from native_stack import builds
from native_stack.clients import catalogue_settings
from native_stack.errors import NativeError
from native_stack.invocation import Invocation
from native_stack.requirements import find_java
from native_stack.servers import postgres
from native_stack.servers.kafka import TOOLS
from native_stack.services import console_script
from native_stack.stack import Stack


def cql(stack: Stack, statement: str | None) -> Invocation:
    """Return cqlsh on the catalogue: for one statement, or interactive without any."""
    stack.pid_of("cassandra")  # says how to start it
    catalogue = catalogue_settings(stack)
    address = [catalogue.cassandra_contact_points, str(catalogue.cassandra_port)]
    keyspace = ["--keyspace", catalogue.cassandra_keyspace]
    command = [console_script("cqlsh"), *address, *keyspace, *(["--execute", statement] if statement else [])]
    # cqlsh looks for all its files in the home directory, and moves some that it finds there.
    return Invocation(command, os.environ | {"HOME": str(_home(stack))})


def sql(stack: Stack, statement: str | None) -> Invocation:
    """Return psql on the live windows: for one statement, or interactive without any."""
    stack.pid_of("postgres")
    command = [str(postgres.binary("psql")), *(["--command", statement] if statement else [])]
    told = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(stack.settings.postgres_port),
        "PGUSER": postgres.USER,
        "PGDATABASE": postgres.DATABASE,
        "PGPASSWORD": stack.credentials.postgres_password_file.read_text(encoding="utf-8"),
        "PGOPTIONS": f"-c search_path={SCHEMA},public",
        "PSQL_HISTORY": str(_home(stack) / "psql_history"),
    }
    return Invocation(command, os.environ | told)


def kafka(stack: Stack, tool: str, arguments: Sequence[str]) -> Invocation:
    """Return one of Kafka's own tools on the stack's broker; raises NativeError for a name it has not."""
    if tool not in TOOLS:
        raise NativeError(f"Kafka's tools here are {', '.join(TOOLS)}, not {tool!r}.")
    stack.pid_of("kafka")
    jars = str(builds.KAFKA.entry(stack.settings.cache_dir) / "*")
    address = f"127.0.0.1:{stack.settings.kafka_port}"
    command = [str(find_java()), "-cp", jars, TOOLS[tool], "--bootstrap-server", address, *arguments]
    return Invocation(command, os.environ)


def _home(stack: Stack) -> Path:
    path = stack.settings.state_dir / "shells"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
