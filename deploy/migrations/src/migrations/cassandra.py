"""Creates the keyspace and applies the numbered .cql files, each recorded with its checksum."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from cassandra import RequestValidationException
from service_runtime.cassandra import NOT_NOW, LoginRefused, cassandra_session

from migrations import versions
from migrations.errors import RefusedError
from migrations.progress import Plan, until_it_answers
from migrations.settings import MigrateSettings

if TYPE_CHECKING:
    from cassandra.cluster import Session

T = TypeVar("T")

FOLDER = "cassandra_files"
# The schema must agree on every node before the next statement builds on it.
AGREEMENT_SECONDS = 30
RECORDS = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY,
    checksum text,
    applied_at timestamp
)
"""
RECORD = "INSERT INTO schema_migrations (name, checksum, applied_at) VALUES (%s, %s, toTimestamp(now()))"
COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


async def migrate(settings: MigrateSettings, plan: Plan) -> None:
    """Apply what is not applied yet; raise RefusedError when an applied file has changed."""
    await patiently(settings, partial(_migrate, settings, plan))


async def patiently(settings: MigrateSettings, work: Callable[[], T]) -> T:
    """Do what blocks in a thread, again and again while Cassandra is away."""
    address = f"{settings.cassandra_contact_points}:{settings.cassandra_port}"

    async def attempt() -> T:
        return await asyncio.to_thread(work)

    return await until_it_answers("Cassandra", address, attempt, NOT_NOW)


def statements(text: str) -> list[str]:
    """Split a .cql file; a semicolon ends a statement and stands nowhere else."""
    return [part.strip() for part in COMMENT.sub("", text).split(";") if part.strip()]


def _migrate(settings: MigrateSettings, plan: Plan) -> None:
    with administration(settings) as session:
        _apply(session, settings, plan)


@contextmanager
def administration(settings: MigrateSettings) -> "Iterator[Session]":
    """Open a session; raises RefusedError for a login or a statement that no waiting mends."""
    try:
        with cassandra_session(settings, AGREEMENT_SECONDS) as session:
            yield session
    except LoginRefused as error:
        raise RefusedError(f"{error}: MIGRATE_CASSANDRA_USERNAME, MIGRATE_CASSANDRA_PASSWORD") from error
    except RequestValidationException as error:
        raise RefusedError(f"Cassandra refused a statement: {error}") from error


def _apply(session: "Session", settings: MigrateSettings, plan: Plan) -> None:
    keyspace = settings.cassandra_keyspace
    exists = keyspace in session.cluster.metadata.keyspaces
    if not exists:
        replication = settings.cassandra_replication
        if plan.does("create keyspace", keyspace=keyspace, replication=replication):
            session.execute(f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}")
            exists = True
    if exists:
        session.set_keyspace(keyspace)
        if not plan.dry_run:
            session.execute(RECORDS)
    applied = _applied(session, keyspace) if exists else {}
    for migration in versions.pending(versions.load(FOLDER), applied, "Cassandra"):
        if plan.does("apply to Cassandra", file=migration.name):
            for statement in statements(migration.text):
                session.execute(statement)
            session.execute(
                RECORD,
                (migration.name, migration.checksum),
            )


def _applied(session: "Session", keyspace: str) -> dict[str, str]:
    if "schema_migrations" not in session.cluster.metadata.keyspaces[keyspace].tables:
        return {}
    rows = session.execute("SELECT name, checksum FROM schema_migrations")
    return {row.name: row.checksum for row in rows}
