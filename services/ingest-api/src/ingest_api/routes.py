"""POST /pin/ and POST /pins: read, judge, publish, answer with receipts."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from pin_schema.wire import InvalidPin, decode, one_line, partition_key
from service_runtime.broker import BrokerUnavailable
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ingest_api.bodies import read_pin, read_pins
from ingest_api.metrics import IngestMetrics
from ingest_api.problems import Problem
from ingest_api.publisher import Published, Publisher, QueueFull
from ingest_api.settings import IngestSettings

Handler = Callable[[Request], Awaitable[Response]]

# Not JSON at all is the request's fault (400) or size (413); a pin that breaks a rule is its content's (422).
_STATUS = {"not_json": 400, "not_utf8": 400, "too_large": 413}
_MAX_ERRORS = 100
_CLIENT_CLOSED_REQUEST = 499
_json = msgspec.json.Encoder().encode


class PinRoutes:
    """The two handlers with what they need."""

    def __init__(self, publisher: Publisher, settings: IngestSettings, metrics: IngestMetrics) -> None:
        self._publisher = publisher
        self._settings = settings
        self._metrics = metrics

    async def post_pin(self, request: Request) -> Response:
        """Answer one pin with its receipt."""
        pins = self._judge([await read_pin(request, self._settings)])
        return _answer((await self._publish(pins)).receipts[0])

    async def post_pins(self, request: Request) -> Response:
        """Answer many pins with their receipts, in order; one bad pin refuses the request."""
        pins = self._judge(await read_pins(request, self._settings))
        return _answer({"receipts": (await self._publish(pins)).receipts})

    def measured(self, route: str, handler: Handler) -> Handler:
        """Time the handler and answer its problems."""

        async def timed(request: Request) -> Response:
            started = time.perf_counter()
            # What a bug of ours is answered with, elsewhere.
            status = 500
            try:
                response = await handler(request)
                status = response.status_code
            except Problem as problem:
                response = problem.response()
                status = response.status_code
            except ClientDisconnect:
                status = _CLIENT_CLOSED_REQUEST
                response = Response(status_code=status)
            finally:
                seconds = time.perf_counter() - started
                self._metrics.request_seconds.labels(route, status).observe(seconds)
            return response

        return timed

    def _judge(self, values: list[bytes]) -> list[tuple[bytes, bytes]]:
        """Return keys and one-line values; raises Problem when any pin is invalid."""
        pins: list[tuple[bytes, bytes]] = []
        errors: list[dict[str, Any]] = []
        for position, value in enumerate(values):
            try:
                pin, unknown_fields = decode(value)
            except InvalidPin as invalid:
                self._metrics.refused.labels(invalid.reason).inc()
                errors.extend(
                    {"pin": position, "field": broken.field, "rule": broken.rule, "message": broken.message}
                    for broken in invalid.violations
                )
                continue
            if unknown_fields:
                self._metrics.unknown_fields.inc(unknown_fields)
            pins.append((partition_key(pin), one_line(value)))
        if errors:
            raise _invalid(errors, len(values) - len(pins), len(values))
        return pins

    async def _publish(self, pins: list[tuple[bytes, bytes]]) -> Published:
        try:
            published = await self._publisher.publish(pins)
        except QueueFull as full:
            self._metrics.unconfirmed.labels("queue_full").inc(len(pins))
            raise Problem(
                429,
                "busy",
                "Too many pins in flight",
                f"{full}; none of these pins was sent; post them again after {full.retry_after} s",
                retry_after=full.retry_after,
            ) from None
        except BrokerUnavailable as away:
            self._metrics.unconfirmed.labels("kafka_away").inc(len(pins))
            raise self._unconfirmed(f"{away}: none of these pins was sent", []) from None
        if published.why is not None:
            self._metrics.unconfirmed.labels("no_ack").inc(published.receipts.count(None))
            raise self._unconfirmed(published.why, published.receipts)
        return published

    def _unconfirmed(self, why: str, receipts: list[Any]) -> Problem:
        seconds = self._publisher.retry_after()
        return Problem(
            503,
            "unconfirmed",
            "Kafka did not confirm",
            f"{why}; post pins without a receipt again after {seconds} s, a repeat does no harm",
            retry_after=seconds,
            members={"receipts": receipts} if receipts else None,
        )


def _answer(content: object) -> Response:
    return Response(_json(content), media_type="application/json")


def _invalid(errors: list[dict[str, Any]], bad: int, total: int) -> Problem:
    first = errors[0]
    where = f"{first['field'] or 'the pin'}: {first['message']}"
    if total > 1:
        where = f"{bad} of {total} pins are invalid, none was stored; pin {first['pin']}: {where}"
    status = _STATUS.get(first["rule"], 422)
    return Problem(status, "invalid-pin", "Invalid pin", where, members={"errors": errors[:_MAX_ERRORS]})
