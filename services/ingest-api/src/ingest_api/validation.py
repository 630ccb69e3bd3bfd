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


Validated = ValidPin | tuple[Violation, ...]


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
        (result,) = await self._exactly([value])
        if isinstance(result, ValidPin):
            return result
        refusal = _Refusal()
        refusal.add(0, result)
        raise refusal.problem(1)

    async def validate(self, windows: Windows) -> list[ValidPin]:
        """Return the pins of one request; raises Problem when any pin is invalid."""
        pins: list[ValidPin] = []
        refusal = _Refusal()
        total = 0
        while (window := await self._next(windows, later=total > 0)) is not None:
            for position, result in enumerate(await self._results(*window), total):
                if isinstance(result, ValidPin):
                    pins.append(result)
                else:
                    refusal.add(position, result)
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

    async def _results(self, values: list[bytes], plain: Sequence[ValidPin | None]) -> list[Validated]:
        unclear = [value for value, pin in zip(values, plain, strict=True) if pin is None]
        exact = iter(await self._exactly(unclear))
        return [next(exact) if pin is None else pin for pin in plain]

    async def _exactly(self, values: list[bytes]) -> list[Validated]:
        if sum(map(len, values)) <= _INLINE_BYTES:
            results = _exact(values)
        else:
            results = await asyncio.get_running_loop().run_in_executor(self._beside, _exact, values)
        for result, unknown_fields in results:
            if not isinstance(result, ValidPin):
                self._metrics.refused.labels(result[0].rule).inc()
            elif unknown_fields:
                self._metrics.unknown_fields.inc(unknown_fields)
        return [result for result, _ in results]


def _plain(value: bytes) -> ValidPin | None:
    pin = decode_plain(value)
    return None if pin is None else _valid(pin, value)


def _exact(values: list[bytes]) -> list[tuple[Validated, int]]:
    results: list[tuple[Validated, int]] = []
    for value in values:
        try:
            pin, unknown_fields = decode_exactly(value)
        except InvalidPin as invalid:
            results.append((invalid.violations, 0))
        else:
            results.append((_valid(pin, value), unknown_fields))
    return results


def _valid(pin: WirePin, value: bytes) -> ValidPin:
    key = partition_key(pin)
    return ValidPin(key, one_line(value), murmur2(key) & 0x7FFFFFFF)
