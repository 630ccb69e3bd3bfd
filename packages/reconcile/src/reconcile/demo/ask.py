"""A question to a store, in its own language, with the demo's account: in containers it may only read."""

import asyncio
import json
from collections.abc import Iterable, Mapping

import asyncpg
from rich.console import Console
from service_runtime.cassandra import NOT_NOW

from reconcile import catalogue, live
from reconcile.demo.settings import DemoSettings
from reconcile.errors import DemoError


async def ask_catalogue(settings: DemoSettings, statement: str, out: Console) -> None:
    """Print what Cassandra answers, a row a line as JSON; raises DemoError."""

    def rows() -> list[dict[str, object]]:
        with catalogue.connected(settings) as session:
            return [row._asdict() for row in session.execute(statement)]

    try:
        _print(await asyncio.to_thread(rows), out)
    except NOT_NOW as error:  # a refused statement too
        raise DemoError(f"Cassandra: {error}") from error


async def ask_windows(settings: DemoSettings, statement: str, out: Console) -> None:
    """Print what PostgreSQL answers, a row a line as JSON; raises DemoError."""
    try:
        async with live.connected(str(settings.postgres_dsn)) as connection:
            _print(map(dict, await connection.fetch(statement)), out)
    except (asyncpg.PostgresError, OSError) as error:
        raise DemoError(f"PostgreSQL: {error}") from error


def _print(rows: Iterable[Mapping[str, object]], out: Console) -> None:
    for row in rows:
        text = json.dumps(row, default=_plain, ensure_ascii=False)
        out.print(text, markup=False, highlight=False, soft_wrap=True)


def _plain(value: object) -> object:
    # A driver's own maps; UUIDs, times and decimals are told as text.
    return dict(value) if isinstance(value, Mapping) else str(value)
