"""From an HTTP request to the bytes of its body: types, sizes, deadlines."""

import asyncio

from pin_schema.wire import MAX_PIN_BYTES
from starlette.requests import Request

from ingest_api.admission import Room
from ingest_api.problems import Problem
from ingest_api.settings import IngestSettings

JSON = "application/json"
NDJSON = "application/x-ndjson"

# US-ASCII is UTF-8 too.
_CHARSETS = ("utf-8", "utf8", "us-ascii")


def content_type(request: Request, allowed: tuple[str, ...]) -> str:
    """Return the request's media type; raises Problem 415 unless it, its charset and coding are taken."""
    header = request.headers.get("content-type")
    found, *parameters = (part.strip().lower() for part in (header or "").split(";"))
    if found not in allowed:
        raise _unsupported(f"Content-Type is {header!r}; {request.url.path} takes {' or '.join(allowed)}")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(' "') not in _CHARSETS:
            raise _unsupported(f"the charset is {value!r}; {request.url.path} takes UTF-8")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise _unsupported(f"Content-Encoding is {coding!r}; send the body as it is")
    return found


def _unsupported(what: str) -> Problem:
    return Problem(415, "unsupported-content-type", "Unsupported content type", what)


async def read_pin(request: Request, room: Room, settings: IngestSettings) -> bytes:
    """Return the body of POST /pin/."""
    return bytes(await _read(request, room, MAX_PIN_BYTES, settings.body_timeout_seconds))


async def read_bulk(request: Request, room: Room, settings: IngestSettings) -> bytearray:
    """Return the body of POST /pins."""
    return await _read(request, room, settings.max_body_bytes, settings.body_timeout_seconds)


async def _read(request: Request, room: Room, limit: int, seconds: float) -> bytearray:
    """Return the body, its bytes taken before they are read.

    Raises BudgetSpent, Problem 413 beyond `limit` bytes and 408 after `seconds`.
    """
    declared = request.headers.get("content-length")
    if declared is not None:
        if int(declared) > limit:
            raise _too_large(request, limit)
        room.take(int(declared))
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                if len(body) + len(chunk) > limit:
                    raise _too_large(request, limit)
                if declared is None:
                    room.take(len(chunk))
                body += chunk
    except TimeoutError:
        raise Problem(
            408, "slow-body", "Request timeout", f"the body did not arrive within {seconds:g} s"
        ) from None
    return body


def _too_large(request: Request, limit: int) -> Problem:
    return Problem(
        413,
        "too-large",
        "Body too large",
        f"{request.url.path} takes at most {limit} bytes",
        members={"errors": [{"field": None, "rule": "too_large"}]},
    )
