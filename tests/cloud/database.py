"""RDS as a client sees it: TLS or nothing, and an owner who is no superuser.

Behind it is the native stack's PostgreSQL.
"""

import asyncio
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import asyncpg
import trustme
from native_stack.clients import live_dsn
from native_stack.settings import NativeSettings
from native_stack.stack import Stack

from cloud.aside import loop_aside
from cloud.network import AWS

# What a client sends first to ask for TLS.
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
OWNER = "pinflow"


@contextmanager
def running(name: str, password: str, authority: trustme.CA, settings: NativeSettings) -> Iterator[None]:
    """Run RDS's server of that name on AWS's side of the cable while the block runs."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    stack = Stack(settings)
    try:
        stack.up(only=["postgres"])
        with loop_aside() as wait:
            wait(_as_rds_makes_it(live_dsn(stack), password))
            server = wait(_serve(AWS, context, settings.postgres_port))
            try:
                yield
            finally:
                wait(_closed(server))
    finally:
        stack.down()


async def _as_rds_makes_it(superuser: str, password: str) -> None:
    """Leave the database to an owner with the rights of RDS's; the superuser `pinflow` gets another name."""
    connection = await asyncpg.connect(superuser)
    await connection.execute(f"CREATE ROLE rds_tools SUPERUSER LOGIN PASSWORD '{password}'")
    await connection.close()
    port = int(superuser.rpartition(":")[2].partition("/")[0])
    connection = await asyncpg.connect(f"postgresql://rds_tools:{password}@127.0.0.1:{port}/{OWNER}")
    for statement in (
        f"ALTER ROLE {OWNER} RENAME TO rdsadmin",
        f"CREATE ROLE {OWNER} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'",
        f"GRANT pg_monitor TO {OWNER} WITH ADMIN OPTION",
        f"ALTER DATABASE {OWNER} OWNER TO {OWNER}",
    ):
        await connection.execute(statement)
    await connection.close()


async def _serve(address: str, context: ssl.SSLContext, port: int) -> asyncio.Server:
    """Pass on to that port of the loopback what comes by TLS to port 5432 of the address."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if await reader.readexactly(len(SSL_REQUEST)) == SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(context)
                there = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer))
        writer.close()

    return await asyncio.start_server(client, address, 5432)


async def _closed(server: asyncio.Server) -> None:
    server.close()


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()
