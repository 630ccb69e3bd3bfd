import asyncio

import pytest
from service_runtime.testing.proxy import StallingProxy


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


async def test_it_passes_its_budget_and_then_nothing_in_either_direction() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, StallingProxy(server.sockets[0].getsockname()[1], budget=10).running() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"12345\n")
        assert await reader.readline() == b"12345\n"
        assert not proxy.stalled.is_set()
        writer.write(b"67890\n")
        await asyncio.wait_for(proxy.stalled.wait(), 5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 0.2)
        writer.close()
