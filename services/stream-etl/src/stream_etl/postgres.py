"""The database as the job sees it: a pool, and one word for every reason to try again later."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

SCHEMA = "pinterest"
QUERIES = 2
CONNECT_SECONDS = 5
STATEMENT_SECONDS = 60
CONNECTION: dict[str, Any] = {
    "timeout": CONNECT_SECONDS,
    "command_timeout": STATEMENT_SECONDS,
    "server_settings": {"search_path": SCHEMA, "application_name": "stream-etl"},
}
# A server that is away, starts, shuts down, fails over, is full or breaks a deadlock: all pass.
NOT_NOW = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DeadlockDetectedError,
    asyncpg.QueryCanceledError,
)
# The same, until somebody has run the migrations, or given the role what it needs.
NOT_READY = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InvalidColumnReferenceError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InsufficientPrivilegeError,
)


class PostgresUnavailable(Exception):  # noqa: N818 (a state of the world, not a mistake)
    """Not now; every write may be tried again."""


@contextmanager
def passing_errors() -> Iterator[None]:
    """Raise PostgresUnavailable for every error that passes."""
    try:
        yield
    except NOT_NOW as error:
        raise PostgresUnavailable(f"{type(error).__name__}: {error}".rstrip(": ")) from error
    except NOT_READY as error:
        raise PostgresUnavailable(f"{error}: run the migrations, or check STREAM_POSTGRES_DSN") from error


@asynccontextmanager
async def postgres_pool(dsn: str) -> AsyncIterator["Postgres"]:
    """At most one connection a query, opened when it is needed and opened again when it broke."""
    pool = asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=QUERIES + 1,  # and one to ask whether it answers
        **CONNECTION,
    )
    await pool
    try:
        yield Postgres(pool)
    finally:
        pool.terminate()


class Postgres:
    """Lends connections, with one word for all that passes by itself."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["PoolConnectionProxy[asyncpg.Record]"]:
        """Lend a connection to the schema's tables; raises PostgresUnavailable."""
        with passing_errors():
            async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
                yield connection
