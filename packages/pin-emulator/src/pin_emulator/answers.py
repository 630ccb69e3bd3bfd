"""What a server's answer means for the pins of a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypedDict

import msgspec

from pin_emulator.retry import retry_after
from pin_emulator.summary import Problem


class Receipt(TypedDict):
    """Where a pin is stored."""

    topic: str
    log: str
    partition: int
    offset: int
    timestamp: int | str


class _Receipts(msgspec.Struct):
    receipts: list[Receipt | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """Pins without a receipt are refused for good if `refusal` is set; else they are to be posted again."""

    receipts: list[Receipt | None]
    refusal: Problem | None = None
    cause: str = ""
    wait: float | None = None  # seconds, where the server names them


def read_answer(status: int, headers: Mapping[str, str], body: bytes, pins: int, *, batch: bool) -> Answer:
    """Read the answer to a request of that many pins."""
    nothing: list[Receipt | None] = [None] * pins
    if status == HTTPStatus.OK:
        receipts = _receipts(body, pins) if batch else _receipt(body)
        return Answer(receipts or nothing, cause="answer without receipts")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        stored = _receipts(body, pins) if batch else None
        return Answer(stored or nothing, cause=f"HTTP {status}", wait=retry_after(headers.get("Retry-After")))
    return Answer(nothing, refusal=_problem(status, body))


def _receipt(body: bytes) -> list[Receipt | None] | None:
    try:
        return [msgspec.json.decode(body, type=Receipt)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _receipts(body: bytes, pins: int) -> list[Receipt | None] | None:
    try:
        receipts = msgspec.json.decode(body, type=_Receipts).receipts
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return receipts if len(receipts) == pins else None


def _problem(status: int, body: bytes) -> Problem:
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = Problem(detail=body[:200].decode(errors="replace"))
    problem.status = status
    return problem
