"""Pins validated without holding up the loop: it gets a turn every few milliseconds, whatever is sent."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka.partitioner import murmur2
from pin_schema.wire import (
    InvalidPin,
    Violation,
    WirePin,
    decode_exactly,
    decode_plain,
    one_line,
    partition_key,
)

from ingest_api.metrics import IngestMetrics
from ingest_api.problems import Problem
from ingest_api.splitting import Windows

# Not JSON at all is the request's fault (400) or size (413); a pin that breaks a rule is its content's (422).
_STATUS = {"not_json": 400, "not_utf8": 400, "too_large": 413}
MAX_ERRORS = 100
# Of pins that are not plain: so many are validated exactly at once; 4 ms at worst.
_INLINE_BYTES = 4 * 1024


class ValidPin(msgspec.Struct, frozen=True, gc=False):
    """A pin on one line, its key, and the hash that Kafka's own clients choose its partition by."""

    key: bytes
    value: bytes
    key_hash: int


Verdict = ValidPin | tuple[Violation, ...]


@dataclass(slots=True)
class _Refusal:
    """What is wrong with the pins of one request; only the first errors are kept."""

    bad: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def add(self, position: int, violations: tuple[Violation, ...]) -> None:
        self.bad += 1
        for broken in violations[: MAX_ERRORS - len(self.errors)]:
            error = {"field": broken.field, "rule": broken.rule, "message": broken.message}
            self.errors.append({"pin": position, **error})

    def problem(self, total: int) -> Problem:
        first = self.errors[0]
        where = f"{first['field'] or 'the pin'}: {first['message']}"
        if total > 1:
            where = f"{self.bad} of {total} pins are invalid, none was stored; pin {first['pin']}: {where}"
        status = _STATUS.get(first["rule"], 422)
        return Problem(status, "invalid-pin", "Invalid pin", where, members={"errors": self.errors})


class Validator:
    """Validates plain pins at once, the others in a thread beside the loop; a window of a body at a time."""

    def __init__(self, metrics: IngestMetrics) -> None:
        self._metrics = metrics
        self._turn = asyncio.Lock()
        # One: a second would only take turns with it, and with the loop.
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="exact")

    async def validate_one(self, value: bytes) -> ValidPin:
        """Return the pin; raises Problem when it is invalid."""
        plain = _plain(value)
        if plain is not None:
            return plain
        (verdict,) = await self._exactly([value])
        if isinstance(verdict, ValidPin):
            return verdict
        refusal = _Refusal()
        refusal.add(0, verdict)
        raise refusal.problem(1)

    async def validate(self, windows: Windows) -> list[ValidPin]:
        """Return the pins of one request; raises Problem when any pin is invalid."""
        pins: list[ValidPin] = []
        refusal = _Refusal()
        total = 0
        while (window := await self._next(windows, later=total > 0)) is not None:
            for position, verdict in enumerate(await self._verdicts(*window), total):
                if isinstance(verdict, ValidPin):
                    pins.append(verdict)
                else:
                    refusal.add(position, verdict)
            total += len(window[0])
        if refusal.bad:
            raise refusal.problem(total)
        return pins

    async def _next(
        self, windows: Windows, *, later: bool
    ) -> tuple[list[bytes], list[ValidPin | None]] | None:
        """Split off a window and validate what is plain in it; one window in a pass of the loop, of whomever.

        The first window of a request needs not wait: most requests have no other.
        """
        async with self._turn:
            if later:
                await asyncio.sleep(0)
            values = next(windows, None)
            return None if values is None else (values, [_plain(value) for value in values])

    async def _verdicts(self, values: list[bytes], plain: Sequence[ValidPin | None]) -> list[Verdict]:
        unclear = [value for value, pin in zip(values, plain, strict=True) if pin is None]
        exact = iter(await self._exactly(unclear))
        return [next(exact) if pin is None else pin for pin in plain]

    async def _exactly(self, values: list[bytes]) -> list[Verdict]:
        if sum(map(len, values)) <= _INLINE_BYTES:
            judged = _exact(values)
        else:
            judged = await asyncio.get_running_loop().run_in_executor(self._beside, _exact, values)
        for verdict, unknown_fields in judged:
            if not isinstance(verdict, ValidPin):
                self._metrics.refused.labels(verdict[0].rule).inc()
            elif unknown_fields:
                self._metrics.unknown_fields.inc(unknown_fields)
        return [verdict for verdict, _ in judged]


def _plain(value: bytes) -> ValidPin | None:
    pin = decode_plain(value)
    return None if pin is None else _valid(pin, value)


def _exact(values: list[bytes]) -> list[tuple[Verdict, int]]:
    judged: list[tuple[Verdict, int]] = []
    for value in values:
        try:
            pin, unknown_fields = decode_exactly(value)
        except InvalidPin as invalid:
            judged.append((invalid.violations, 0))
        else:
            judged.append((_valid(pin, value), unknown_fields))
    return judged


def _valid(pin: WirePin, value: bytes) -> ValidPin:
    key = partition_key(pin)
    return ValidPin(key, one_line(value), murmur2(key) & 0x7FFFFFFF)
