"""Proves on the real store that of many `PUT … If-None-Match: *` on one key exactly one wins."""

import asyncio
import uuid
from enum import Enum
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, HTTPClientError
from service_runtime.s3 import error_code

from migrations.errors import StoreNotAtomicError
from migrations.progress import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_aiobotocore_s3 import S3Client

ROUNDS = 20
RACERS = 10
# Outside the archive: nothing but its lifecycle may delete under raw/.
PREFIX = ".probe/"
BODY_BYTES = 2048
# 409: AWS saw two conditional writes at once and did neither; the caller may try again.
LOST = {"PreconditionFailed", "412", "ConditionalRequestConflict"}
UNSUPPORTED = {"NotImplemented", "501"}


class Answer(Enum):
    """What one racer was told."""

    WON = "won"
    LOST = "lost"
    UNKNOWN = "unknown"


async def prove(client: "S3Client", bucket: str) -> None:
    """Race; raise StoreNotAtomicError unless every round has one winner, whose body stands."""
    run = uuid.uuid4()
    keys = [f"{PREFIX}{run}-{number}" for number in range(ROUNDS)]
    try:
        for key in keys:
            await _race(client, bucket, key)
    finally:
        for key in keys:
            await client.delete_object(Bucket=bucket, Key=key)
    log.info("the object store honours If-None-Match", rounds=ROUNDS, racers=RACERS)


async def _race(client: "S3Client", bucket: str, key: str) -> None:
    bodies = [str(racer).encode().ljust(BODY_BYTES, b".") for racer in range(RACERS)]
    answers = await asyncio.gather(*(_put(client, bucket, key, body) for body in bodies))
    winners = [racer for racer, answer in enumerate(answers) if answer is Answer.WON]
    stored = await _stored(client, bucket, key)
    if stored is None:
        problem = None if Answer.WON not in answers else "found a winner and no object"
    else:
        problem = verdict(winners, answers, bodies.index(stored) if stored in bodies else None)
    if problem:
        raise not_atomic(problem)


def verdict(winners: "Sequence[int]", answers: "Sequence[Answer]", stored: int | None) -> str | None:
    """Return what breaks the promise in one round whose object holds the body of racer `stored`, or None.

    A racer whose connection broke may have won without hearing of it.
    """
    if len(winners) > 1:
        return f"found {len(winners)} winners among {len(answers)} racers"
    if stored is None:
        return "found a body that nobody sent"
    if answers[stored] is Answer.LOST or (winners and stored != winners[0]):
        return "found the body of a racer that was told it had lost"
    return None


def not_atomic(found: str) -> StoreNotAtomicError:
    """Return the refusal that names what was found."""
    return StoreNotAtomicError(
        f"the object store does not honour If-None-Match under concurrency: {found}. The archive relies on "
        "it for having each offset once: use versitygw ≥ 1.8.0 or AWS S3, and no proxy that drops the header"
    )


async def _put(client: "S3Client", bucket: str, key: str, body: bytes) -> Answer:
    try:
        await client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
    except ClientError as error:
        code = error_code(error)
        if code in LOST:
            return Answer.LOST
        if code in UNSUPPORTED:
            raise not_atomic("it answers that it does not implement it") from error
        raise
    except (HTTPClientError, OSError):
        return Answer.UNKNOWN
    return Answer.WON


async def _stored(client: "S3Client", bucket: str, key: str) -> bytes | None:
    try:
        answer = await client.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error_code(error) == "NoSuchKey":
            return None
        raise
    async with answer["Body"] as body:
        content: bytes = await body.read()
        return content
