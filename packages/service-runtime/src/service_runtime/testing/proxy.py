"""A TCP proxy that goes silent in the middle: how tests stop a client at a chosen point of its work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK = 4096


class StallingProxy:
    """Passes `budget` bytes from its clients on, then nothing more in either direction.

    `stalled` is set when that happens; connections stay open, as behind a frozen server.
    """

    def __init__(self, port: int, budget: int) -> None:
        self.stalled = asyncio.Event()
        self.port = 0
        self._upstream_port = port
        self._budget = budget
        self._pumps: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["StallingProxy"]:
        """Listen on a free port of loopback for the block, then drop every connection."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, back = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        for source, target, counted in ((reader, back, True), (upstream, writer, False)):
            self._pumps.add(asyncio.create_task(self._pump(source, target, counted=counted)))

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        try:
            with suppress(ConnectionError):
                while chunk := await source.read(_CHUNK):
                    await self._pay(len(chunk) if counted else 0)
                    target.write(chunk)
                    await target.drain()
        finally:
            target.close()

    async def _pay(self, count: int) -> None:
        self._budget -= count
        if self._budget < 0:
            self.stalled.set()
            await asyncio.Event().wait()
