"""Shells on the tables: cqlsh and psql, told where the stack's servers are."""

import os
from pathlib import Path

from migrations.postgres import SCHEMA

from native_stack.clients import catalogue_settings
from native_stack.invocation import Invocation
from native_stack.servers import postgres
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


def _home(stack: Stack) -> Path:
    path = stack.settings.state_dir / "shells"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
