"""Airflow's own database, its one person and its pool; run at every `up`, and finds nothing to do."""

import subprocess
import sys
import time
from pathlib import Path

import psycopg2
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from psycopg2 import sql

SECRETS = Path("/run/secrets")
HOST = "airflow-postgres"
ROLE = "airflow"
PERSON = "admin"
POOLS = Path("/etc/pinflow/pools.json")
# `up` fails when this does: a machine may be slow to make a database.
WAIT_SECONDS = 600
POLL_SECONDS = 1


def main() -> None:
    """State the account and the database, then let Airflow make what is in them."""
    connection = _connected()
    with connection.cursor() as cursor:
        _state_account(cursor, (SECRETS / "airflow-postgres-password").read_text())
    connection.close()
    airflow("db", "migrate")
    _state_person((SECRETS / "airflow-admin-password").read_text())
    airflow("pools", "import", str(POOLS))


def airflow(*arguments: str) -> None:
    """Run Airflow's command line; end with its exit code when it fails."""
    done = subprocess.run(["airflow", *arguments], check=False)  # noqa: S603, S607 its own image's
    if done.returncode:
        sys.exit(done.returncode)


def _connected() -> "psycopg2.extensions.connection":
    password = (SECRETS / "airflow-postgres-admin-password").read_text()
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection = psycopg2.connect(host=HOST, user="pinflow", password=password, dbname="postgres")
        except psycopg2.OperationalError as error:
            if time.monotonic() > deadline:
                sys.exit(f"PostgreSQL at {HOST} stayed away for {WAIT_SECONDS} s: {error}")
            print(f"waiting for PostgreSQL at {HOST}: {error}", file=sys.stderr)  # noqa: T201
            time.sleep(POLL_SECONDS)
        else:
            connection.autocommit = True
            return connection


def _state_account(cursor: "psycopg2.extensions.cursor", password: str) -> None:
    role = sql.Identifier(ROLE)
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE])
    verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
    cursor.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(password)))
    cursor.execute(sql.SQL("ALTER DATABASE airflow OWNER TO {}").format(role))


@providers_configuration_loaded
def _state_person(password: str) -> None:
    """Make the administrator, or give them the password of the secret file: never on a command line."""
    with get_application_builder() as builder:
        security = builder.sm
        person = security.find_user(PERSON)
        if person:
            security.reset_password(person.id, password)
        else:
            role = security.find_role("Admin")
            security.add_user(PERSON, "Pinflow", "Administrator", "admin@localhost", role, password)


if __name__ == "__main__":
    main()
