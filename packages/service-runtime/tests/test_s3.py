"""The real client before a server that does not answer as S3 does (tests/integration has the real server)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from botocore.exceptions import ParamValidationError
from pydantic import SecretStr
from service_runtime import s3
from service_runtime.object_store import StoredObject, StoreUnavailable
from service_runtime.s3 import S3Bucket, s3_bucket
from service_runtime.settings import S3Settings

TOKEN = "<NextContinuationToken>1</NextContinuationToken>"
CUT = b"<the connection ends here>"


class ScriptedServer:
    """A server that gives the scripted answers one by one, and then no more."""

    def __init__(self, *script: bytes) -> None:
        self.script = list(script)
        self.requests: list[str] = []
        self.connections = 0
        self.take_bodies = asyncio.Event()
        self.take_bodies.set()
        self._serving: set[asyncio.Task[object]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if task := asyncio.current_task():
            self._serving.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        scripted = b""
        while not scripted.endswith(CUT):
            await self._read_request(reader, writer)
            scripted = self.script.pop(0) if self.script else CUT
            writer.write(scripted.removesuffix(CUT))
            await writer.drain()

    async def _read_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
        if "expect" in headers:
            await self.take_bodies.wait()
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append(head.split("\r\n")[0])

    @asynccontextmanager
    async def bucket(self) -> AsyncIterator[S3Bucket]:
        """Open the bucket of this server."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        settings = S3Settings(
            s3_bucket="pinflow",
            s3_endpoint_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            s3_access_key_id="key",
            s3_secret_access_key=SecretStr("secret"),
        )
        async with server, s3_bucket(settings) as bucket:
            yield bucket
        # A connection that nobody closed would be found by the test that runs when it is collected.
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


def answer(body: bytes = b"", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    length = b"Content-Length: %d" % len(body.removesuffix(CUT))
    return b"\r\n".join([b"HTTP/1.1 " + status, length, *headers, b"", body])


def listing(content: bytes) -> bytes:
    return answer(b'<?xml version="1.0"?><ListBucketResult>' + content + b"</ListBucketResult>")


def page(key: str, *, truncated: str = "false", token: str = "") -> bytes:
    content = (
        f"<Name>pinflow</Name><KeyCount>1</KeyCount><IsTruncated>{truncated}</IsTruncated>"
        f"<Contents><Key>{key}</Key></Contents>{token}"
    )
    return listing(content.encode())


OBJECT = answer(b"body", b'ETag: "1"', b"x-amz-meta-start: 0")
# A body that is cut, in each of the two ways to say its length.
CUT_BODIES = {
    "by length": b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 100\r\n\r\nabc' + CUT,
    "in chunks": b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc' + CUT,
}

NO_ANSWER_TO_ANYTHING = {
    "the connection closes": CUT,
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n" + CUT,
    "the header is cut": b"HTTP/1.1 200 OK\r\nETag: " + CUT,
    "the header is endless": b"HTTP/1.1 200 OK\r\nETag: " + b"x" * 100_000 + CUT,
    "the length is no number": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + CUT,
    "a header is not text": answer(b"", b'ETag: "\xff"'),
    "the empty 200 of a proxy": answer(),
    "the page of a proxy": answer(b"<!doctype html><p>It works<br>"),
    "no content": answer(status=b"204 No Content"),
    "a refusal": answer(b"<Error><Code>AccessDenied</Code></Error>", status=b"403 Forbidden"),
    "the refusal of a proxy": answer(b"upstream is away", status=b"503 Service Unavailable"),
}
ASKED: dict[str, Callable[[S3Bucket], Awaitable[object]]] = {
    "PutObject": lambda bucket: bucket.put_if_absent("raw/a", b"body", {"start": "0"}),
    "HeadObject": lambda bucket: bucket.metadata("raw/a"),
    "GetObject": lambda bucket: bucket.get("raw/a"),
    "ListObjectsV2": lambda bucket: bucket.list_keys("raw/"),
}


async def outcome_of(asked: Awaitable[object]) -> str:
    try:
        return str(await asked)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("operation", ASKED)
async def test_what_no_s3_says_answers_nothing(operation: str) -> None:
    server = ScriptedServer()
    wrong: dict[str, str] = {}
    async with server.bucket() as bucket:
        for what, scripted in NO_ANSWER_TO_ANYTHING.items():
            server.script = [scripted]
            outcome = await outcome_of(ASKED[operation](bucket))
            if not outcome.startswith(f"StoreUnavailable: {operation}: "):
                wrong[what] = outcome
            assert server.script == [], "the fault fired"
    assert wrong == {}


@pytest.mark.parametrize("how", CUT_BODIES)
async def test_a_body_that_was_cut_is_no_body_and_its_connection_is_not_used_again(how: str) -> None:
    server = ScriptedServer(CUT_BODIES[how], OBJECT, OBJECT)
    async with server.bucket() as bucket:
        with pytest.raises(StoreUnavailable, match=r"^GetObject: "):
            await bucket.get("raw/a")
        assert await bucket.get("raw/a") == StoredObject(b"body", {"start": "0"})
        assert await bucket.get("raw/a") == StoredObject(b"body", {"start": "0"})
    assert server.connections == 2


async def test_a_body_without_a_length_may_have_been_cut() -> None:
    server = ScriptedServer(b'HTTP/1.1 200 OK\r\nETag: "1"\r\n\r\nabc' + CUT)
    async with server.bucket() as bucket:
        with pytest.raises(StoreUnavailable, match="ContentLength"):
            await bucket.get("raw/a")


async def test_a_read_that_was_cancelled_in_the_body_leaves_no_connection_behind() -> None:
    server = ScriptedServer(CUT_BODIES["by length"].removesuffix(CUT), OBJECT)
    async with server.bucket() as bucket:
        reading = asyncio.create_task(bucket.get("raw/a"))
        while server.script != [OBJECT]:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await bucket.get("raw/a") == StoredObject(b"body", {"start": "0"})
    assert server.connections == 2


NO_SECOND_PAGE = {
    "empty": answer(),
    "no result": listing(b""),
    "without an end": listing(b"<Name>pinflow</Name><KeyCount>0</KeyCount>"),
    "a count that is no number": page("raw/b").replace(b"<KeyCount>1<", b"<KeyCount>x<"),
    "a key without a name": page("raw/b").replace(b"Key>", b"Kee>"),
    "more to come, but from where": page("raw/b", truncated="true"),
    "the same page again": page("raw/a", truncated="true", token=TOKEN),
    "xml that was cut": answer(page("raw/b").split(b"\r\n\r\n")[1][:-30]),
}


async def test_a_list_with_a_page_that_is_none_is_no_list() -> None:
    server = ScriptedServer()
    wrong: dict[str, str] = {}
    async with server.bucket() as bucket:
        for what, second in NO_SECOND_PAGE.items():
            server.script = [page("raw/a", truncated="true", token=TOKEN), second]
            outcome = await outcome_of(bucket.list_keys("raw/"))
            if not outcome.startswith("StoreUnavailable: ListObjectsV2: "):
                wrong[what] = outcome
            assert server.script == [], "the fault fired"
    assert wrong == {}


async def test_a_list_is_all_its_pages() -> None:
    server = ScriptedServer(page("raw/a", truncated="true", token=TOKEN), page("raw/b"))
    async with server.bucket() as bucket:
        assert await bucket.list_keys("raw/", start_after="raw/0") == ["raw/a", "raw/b"]
    assert "start-after=raw%2F0" in server.requests[0]


async def test_a_write_to_a_server_that_takes_no_body_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PUT_SECONDS", 0.2)
    server = ScriptedServer()
    server.take_bodies.clear()
    async with server.bucket() as bucket:
        with pytest.raises(StoreUnavailable, match="PutObject: TimeoutError"):
            await asyncio.wait_for(bucket.put_if_absent("raw/a", b"body", {}), 5)
    assert server.connections == 1, "the fault fired"


async def test_a_call_that_cannot_be_sent_is_our_mistake() -> None:
    server = ScriptedServer()
    async with server.bucket() as bucket:
        with pytest.raises(ParamValidationError):
            await bucket.put_if_absent("", b"", {})
    assert server.requests == []
