"""A database of its own on the shared PostgreSQL, for what no other test may see."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg


@asynccontextmanager
async def fresh_database(dsn: str) -> AsyncIterator[str]:
    """Make an empty database beside that of the DSN; its DSN. It is dropped at the end."""
    name = f"db_{uuid.uuid4().hex[:8]}"
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield f"{dsn.rpartition('/')[0]}/{name}"
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()
