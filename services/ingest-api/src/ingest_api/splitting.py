"""From a body to its pins, some 32 KiB at a time: nobody waits until 8 MiB are split."""

import json
import re
from collections.abc import Callable, Iterator

import msgspec
from pin_schema.wire import MAX_PIN_BYTES

from ingest_api.bodies import JSON, NDJSON
from ingest_api.problems import Problem

WINDOW_BYTES = 32 * 1024
# Longer than any valid pin with what stands around it.
MAX_WINDOW_BYTES = 4 * WINDOW_BYTES

Windows = Iterator[list[bytes]]

_elements = msgspec.json.Decoder(list[msgspec.Raw])
_array_starts = re.compile(rb"[ \t\r\n]*\[").match
_spaces = re.compile(r"[ \t\r\n]*").match
_comma = re.compile(r"[ \t\r\n]*,").match
# Only where an element ends matters here; numbers as text are not converted.
_scan = json.JSONDecoder(strict=False, parse_int=str, parse_float=str).raw_decode


def pins_of(body: bytearray, kind: str, max_pins: int) -> Windows:
    """Yield the pins of POST /pins, each as its own bytes; raises Problem 400 or 413."""
    split: Callable[[bytearray], Windows] = _array if kind == JSON else _lines
    count = 0
    for pins in split(body):
        count += len(pins)
        if count > max_pins:
            raise Problem(
                413,
                "too-many-pins",
                "Too many pins",
                f"found more than {max_pins} pins, which is what one request takes at most",
            )
        yield pins
    if not count:
        raise Problem(400, "no-pins", "No pins", "the body holds no pin; send at least one")


def _lines(body: bytearray) -> Windows:
    at = 0
    while at < len(body):
        end = (
            body.rfind(b"\n", at, at + WINDOW_BYTES) + 1
            or body.find(b"\n", at + WINDOW_BYTES) + 1
            or len(body)
        )
        yield [line for line in _part(body, at, end).split(b"\n") if line.strip()]
        at = end


def _array(body: bytearray) -> Windows:
    start = _array_starts(body)
    if start is None:
        raise _not_an_array(f"it starts with {bytes(body[:20])!r}")
    at = start.end()
    while len(body) - at > WINDOW_BYTES:
        pins, at_next = _some_elements(body, at)
        if not pins:
            break
        yield pins
        at = at_next
    if len(body) - at > MAX_WINDOW_BYTES:
        raise _not_an_array(f"what starts at byte {at} is no object of at most {MAX_PIN_BYTES} bytes")
    last = _decoded(b"[" + _part(body, at, len(body)))
    if not last and at > start.end():
        raise _not_an_array("a comma stands before its end")
    yield last


def _some_elements(body: bytearray, at: int) -> tuple[list[bytes], int]:
    """Return complete elements from `at` on, and where the next one starts; none if none is small enough."""
    for size in (WINDOW_BYTES, MAX_WINDOW_BYTES):
        window = _part(body, at, at + size)
        pins, length = _guessed(window)
        if not pins:
            pins, length = _scanned(window)
        if pins:
            return pins, at + length
    return [], at


def _guessed(window: bytes) -> tuple[list[bytes], int]:
    """Return the elements before the last "},", and where the next one starts; none if it is no border.

    It is one if all that lies before it reads as elements.
    """
    end = window.rfind(b"},") + 1
    try:
        return _decoded(b"[" + window[:end] + b"]"), end + 1
    except Problem:
        return [], 0


def _scanned(window: bytes) -> tuple[list[bytes], int]:
    """Return the elements that a comma follows, one by one, and where the next one starts."""
    # JSON's own characters are the same in Latin-1, and each byte is one character.
    text = window.decode("latin-1")
    pins: list[bytes] = []
    at = 0
    while True:
        begin = _spaces(text, at).end()  # type: ignore[union-attr] # it matches nothing too
        try:
            _, end = _scan(text, begin)
        except (ValueError, RecursionError):
            return pins, at
        comma = _comma(text, end)
        if comma is None:
            return pins, at
        pins.append(window[begin:end])
        at = comma.end()


def _decoded(array: bytes) -> list[bytes]:
    try:
        return [bytes(element) for element in _elements.decode(array)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_an_array(str(error)) from error


def _part(body: bytearray, start: int, end: int) -> bytes:
    return bytes(memoryview(body)[start:end])


def _not_an_array(why: str) -> Problem:
    return Problem(
        400,
        "not-json",
        "Not a JSON array",
        f"the body does not read as an array of pins: {why}; send NDJSON as {NDJSON}",
        members={"errors": [{"field": None, "rule": "not_json"}]},
    )
