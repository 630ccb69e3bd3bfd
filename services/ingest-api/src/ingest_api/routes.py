"""POST /pin/ and POST /pins: admit, read, validate, publish, answer with receipts."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from service_runtime.broker import BrokerUnavailable
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ingest_api.admission import Admission, BudgetSpent, Room
from ingest_api.bodies import JSON, NDJSON, content_type, read_bulk, read_pin
from ingest_api.metrics import IngestMetrics
from ingest_api.problems import Problem
from ingest_api.publisher import Published, Publisher
from ingest_api.settings import IngestSettings
from ingest_api.splitting import pins_of
from ingest_api.validation import MAX_ERRORS, Validator, ValidPin

Handler = Callable[[Request], Awaitable[Response]]

_CLIENT_CLOSED_REQUEST = 499
_json = msgspec.json.Encoder().encode


class PinRoutes:
    """The two handlers with what they need."""

    def __init__(self, publisher: Publisher, settings: IngestSettings, metrics: IngestMetrics) -> None:
        self._publisher = publisher
        self._settings = settings
        self._metrics = metrics
        self._admission = Admission(settings.queue_max_bytes, metrics.pending_bytes)
        self._validator = Validator(metrics)

    async def post_pin(self, request: Request) -> Response:
        """Answer one pin with its receipt."""
        content_type(request, (JSON,))
        with self._admitted(bulk=False) as room:
            pin = await self._validator.validate_one(await read_pin(request, room, self._settings))
            return _answer((await self._publish([pin], room)).receipts[0])

    async def post_pins(self, request: Request) -> Response:
        """Answer many pins with their receipts, in order; one bad pin refuses the request."""
        kind = content_type(request, (JSON, NDJSON))
        with self._admitted(bulk=True) as room:
            pins = await self._read_pins(request, kind, room)
            return _answer({"receipts": (await self._publish(pins, room)).receipts})

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

    @contextmanager
    def _admitted(self, *, bulk: bool) -> Iterator[Room]:
        """Let a request in while Kafka is there and its bytes fit; raises Problem 503 or 429."""
        try:
            self._publisher.require_connection()
            with self._admission.room(bulk=bulk) as room:
                yield room
        except BudgetSpent as spent:
            self._metrics.unconfirmed.labels("queue_full").inc()
            seconds = self._publisher.drain_seconds(self._admission.taken)
            raise Problem(
                429,
                "busy",
                "Too many pins in flight",
                f"{spent}; nothing of this request was sent; post it again after {seconds} s",
                retry_after=seconds,
            ) from None
        except BrokerUnavailable as away:
            self._metrics.unconfirmed.labels("kafka_away").inc()
            raise self._unconfirmed(f"{away}: none of these pins was sent") from None

    async def _read_pins(self, request: Request, kind: str, room: Room) -> list[ValidPin]:
        # A function of its own: the body is let go of before the pins wait for Kafka.
        body = await read_bulk(request, room, self._settings)
        return await self._validator.validate(pins_of(body, kind, self._settings.max_pins))

    async def _publish(self, pins: list[ValidPin], room: Room) -> Published:
        published = await self._publisher.publish(pins, room)
        errors = []
        for position, refused in published.refused.items():
            rule = "too_large_for_topic" if refused.too_large else "refused_by_kafka"
            self._metrics.refused.labels(rule).inc()
            errors.append({"pin": position, "field": None, "rule": rule, "message": refused.why})
        members: dict[str, Any] = {"receipts": published.receipts}
        if errors:
            members["errors"] = errors[:MAX_ERRORS]
        if published.why is not None:
            self._metrics.unconfirmed.labels("no_ack").inc(published.receipts.count(None) - len(errors))
            raise self._unconfirmed(published.why, members)
        if errors:
            raise _refused_by_kafka(errors, members)
        return published

    def _unconfirmed(self, why: str, members: dict[str, Any] | None = None) -> Problem:
        seconds = self._publisher.retry_after()
        return Problem(
            503,
            "unconfirmed",
            "Kafka did not confirm",
            f"{why}; post pins without a receipt again after {seconds} s, a repeat does no harm",
            retry_after=seconds,
            members=members,
        )


def _answer(content: object) -> Response:
    return Response(_json(content), media_type="application/json")


def _refused_by_kafka(errors: list[dict[str, Any]], members: dict[str, Any]) -> Problem:
    too_large = errors[0]["rule"] == "too_large_for_topic"
    return Problem(
        413 if too_large else 422,
        "refused-by-kafka",
        "Kafka refuses pins",
        f"Kafka will not store {len(errors)} of {len(members['receipts'])} pins, which `errors` names "
        f"({errors[0]['message']}); pins with a receipt are stored",
        members=members,
    )
