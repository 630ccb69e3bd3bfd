"""A door to the real S3 server that refuses or empties some answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

REFUSAL = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>m</Message></Error>"


class S3Proxy:
    """Passes requests on, one connection to the server for each of its clients'.

    `refuse_puts` answers writes with 403, `empty_lists` gives that many LISTs a 200 without a body; `lists`
    counts them all.
    """

    def __init__(self, server_url: str) -> None:
        server = urlsplit(server_url)
        self._host, self._port = server.hostname or "", server.port or 80
        self.url = ""
        self.refuse_puts = False
        self.refused = 0
        self.empty_lists = self.lists = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["S3Proxy"]:
        """Listen for the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = "http://{}:{}".format(*server.sockets[0].getsockname())
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(self._host, self._port)
        back = asyncio.create_task(_copy(up_reader, writer))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._pass_on(reader, writer, up_writer)
        back.cancel()
        writer.close()
        up_writer.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, up: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        request, *lines = head.split(b"\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (x.partition(b":") for x in lines)
        }
        length = int(headers.get(b"content-length", b"0"))
        refused = request.startswith(b"PUT") and self.refuse_puts
        is_list = b"list-type=2" in request
        self.lists += is_list
        emptied = is_list and self.empty_lists > 0
        if b"expect" in headers and refused:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if refused or emptied:
            await reader.readexactly(length)
            self.refused += refused
            self.empty_lists -= emptied
            writer.write(_answer(403, REFUSAL) if refused else _answer(200, b""))
            return await writer.drain()
        up.write(head)
        while length:
            chunk = await reader.read(min(length, 65536))
            length -= len(chunk)
            up.write(chunk)
        return await up.drain()


def _answer(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} x\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
