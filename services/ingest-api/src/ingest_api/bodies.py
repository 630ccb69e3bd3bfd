"""From an HTTP request to the bytes of its pins: types, sizes, deadlines, splitting."""

import asyncio

import msgspec
from pin_schema.wire import MAX_PIN_BYTES
from starlette.requests import Request

from ingest_api.problems import Problem
from ingest_api.settings import IngestSettings

JSON = "application/json"
NDJSON = "application/x-ndjson"

_elements = msgspec.json.Decoder(list[msgspec.Raw])


def content_type(request: Request, allowed: tuple[str, ...]) -> str:
    """Return the request's media type; raises Problem 415 unless it is allowed."""
    header = request.headers.get("content-type")
    found = (header or "").partition(";")[0].strip().lower()
    if found not in allowed:
        raise Problem(
            415,
            "unsupported-content-type",
            "Unsupported content type",
            f"Content-Type is {header!r}; {request.url.path} takes {' or '.join(allowed)}",
        )
    return found


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """Return the body; raises Problem 413 beyond `limit` bytes and 408 after `seconds`."""
    if int(request.headers.get("content-length", "0")) > limit:
        raise _too_large(request, limit)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                chunks.append(chunk)
                size += len(chunk)
                if size > limit:
                    raise _too_large(request, limit)
    except TimeoutError:
        raise Problem(
            408, "slow-body", "Request timeout", f"the body did not arrive within {seconds:g} s"
        ) from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(request: Request, limit: int) -> Problem:
    return Problem(
        413,
        "too-large",
        "Body too large",
        f"{request.url.path} takes at most {limit} bytes",
        members={"errors": [{"field": None, "rule": "too_large"}]},
    )


async def read_pin(request: Request, settings: IngestSettings) -> bytes:
    """Return the body of POST /pin/."""
    content_type(request, (JSON,))
    return await read_body(request, MAX_PIN_BYTES, settings.body_timeout_seconds)


async def read_pins(request: Request, settings: IngestSettings) -> list[bytes]:
    """Return the pins of POST /pins, each as its own bytes; raises Problem 400 or 413."""
    kind = content_type(request, (JSON, NDJSON))
    body = await read_body(request, settings.max_body_bytes, settings.body_timeout_seconds)
    pins = _split_array(body) if kind == JSON else [line for line in body.split(b"\n") if line.strip()]
    if not pins:
        raise Problem(400, "no-pins", "No pins", "the body holds no pin; send at least one")
    if len(pins) > settings.max_pins:
        raise Problem(
            413,
            "too-many-pins",
            "Too many pins",
            f"found {len(pins)} pins; one request takes at most {settings.max_pins}",
        )
    return pins


def _split_array(body: bytes) -> list[bytes]:
    try:
        return [bytes(element) for element in _elements.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(
            400,
            "not-json",
            "Not a JSON array",
            f"the body does not read as an array of pins: {error}; send NDJSON as {NDJSON}",
            members={"errors": [{"field": None, "rule": "not_json"}]},
        ) from error
