"""Applies the numbered .sql files, each in a transaction with its record, one migrator at a time."""

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import asyncpg

from migrations import versions
from migrations.errors import MissingSettingError, RefusedError
from migrations.progress import Plan, until_it_answers
from migrations.settings import MigrateSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SCHEMA = "pinterest"
FOLDER = "postgres_files"
# Any fixed number will do, so long as every migrator of this database takes the same.
LOCK = 7_046_029_254_386_353_131
CONNECT_SECONDS = 5
# A server that starts, is shut down or has no free connection: all pass.
NOT_YET = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.AdminShutdownError,
)
RECORDS = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.schema_migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""


async def migrate(settings: MigrateSettings, plan: Plan) -> None:
    """Apply what is not applied yet; raise RefusedError when an applied file has changed."""
    await patiently(settings, partial(_apply, plan=plan))


async def patiently(
    settings: MigrateSettings, work: "Callable[[asyncpg.Connection], Awaitable[None]]"
) -> None:
    """Do the work as the only migrator of this database, again and again while PostgreSQL is away."""
    if settings.postgres_dsn is None:
        raise MissingSettingError(
            "the step postgres needs MIGRATE_POSTGRES_DSN, or MIGRATE_POSTGRES_DSN_FILE"
        )
    dsn = settings.postgres_dsn
    address = ",".join(f"{host['host']}:{host['port'] or 5432}" for host in dsn.hosts())

    async def attempt() -> None:
        async with _connected(str(dsn)) as connection:
            # Held until the connection closes: a second migrator waits here and then finds nothing to do.
            await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
            try:
                await work(connection)
            except asyncpg.InsufficientPrivilegeError as error:
                user = dsn.hosts()[0]["username"]
                raise RefusedError(f"PostgreSQL does not allow it to {user!r}: {error}") from error

    await until_it_answers("PostgreSQL", address, attempt, NOT_YET)


@asynccontextmanager
async def _connected(dsn: str) -> "AsyncIterator[asyncpg.Connection]":
    try:
        connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise RefusedError(f"PostgreSQL refused the login: {error}. Check MIGRATE_POSTGRES_DSN") from error
    try:
        yield connection
    finally:
        await connection.close()


async def _apply(connection: "asyncpg.Connection", plan: Plan) -> None:
    applied = await _applied(connection)
    for migration in versions.pending(versions.load(FOLDER), applied, "PostgreSQL"):
        if plan.does("apply to PostgreSQL", file=migration.name):
            async with connection.transaction():
                await connection.execute(RECORDS)
                await connection.execute(f"SET LOCAL search_path TO {SCHEMA}")
                await connection.execute(migration.text)
                await connection.execute(
                    "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)",
                    migration.name,
                    migration.checksum,
                )


async def _applied(connection: "asyncpg.Connection") -> dict[str, str]:
    if await connection.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.schema_migrations") is None:
        return {}
    rows = await connection.fetch(f"SELECT name, checksum FROM {SCHEMA}.schema_migrations")  # noqa: S608
    return {row["name"]: row["checksum"] for row in rows}
