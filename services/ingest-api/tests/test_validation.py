"""Whatever is sent, the loop gets its turns while it is validated."""

import asyncio
import gc
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from ingest_api.metrics import IngestMetrics
from ingest_api.problems import Problem
from ingest_api.validation import Validator
from prometheus_client import CollectorRegistry

# Of this process's own CPU, whatever else the machine does. Validated at once, the pins below take seconds.
LONGEST_PASS_SECONDS = 0.15


@pytest.fixture(autouse=True)
def _no_garbage_of_other_tests() -> Iterator[None]:
    # A full collection goes through everything that a long run of tests has left.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def validator() -> Validator:
    return Validator(IngestMetrics(CollectorRegistry()))


def a_pin(**more: object) -> bytes:
    return json.dumps({"index": 1, "unique_id": str(uuid.uuid4()), **more}, separators=(",", ":")).encode()


async def longest_pass(until: "asyncio.Future[Any]") -> float:
    """The most CPU that was spent before the loop came round."""
    longest, last = 0.0, time.process_time()
    while not until.done():
        await asyncio.sleep(0)
        now = time.process_time()
        longest, last = max(longest, now - last), now
    return longest


async def test_many_odd_pins_leave_the_loop_its_turns(validator: Validator) -> None:
    windows = [[a_pin(x=[[1]] * 60) for _ in range(100)] for _ in range(10)]
    validated = asyncio.gather(*(validator.validate(iter(windows)) for _ in range(4)))
    longest = await longest_pass(validated)
    assert longest <= LONGEST_PASS_SECONDS
    assert [len(pins) for pins in await validated] == [1000] * 4


async def test_many_plain_pins_leave_the_loop_its_turns(validator: Validator) -> None:
    windows = [[a_pin(title="x" * 200) for _ in range(100)] for _ in range(100)]
    validated = asyncio.gather(*(validator.validate(iter(windows)) for _ in range(8)))
    longest = await longest_pass(validated)
    assert longest <= LONGEST_PASS_SECONDS
    assert [len(pins) for pins in await validated] == [10_000] * 8


async def test_one_pin_of_64_kib_leaves_the_loop_its_turns(validator: Validator) -> None:
    odd = a_pin(x=[[1]] * 16_000)
    validated = asyncio.gather(*(validator.validate_one(odd) for _ in range(8)))
    longest = await longest_pass(validated)
    assert longest <= LONGEST_PASS_SECONDS
    assert {pin.value for pin in await validated} == {odd}


async def test_errors_name_the_place_in_the_request_whatever_the_window(validator: Validator) -> None:
    windows = iter([[a_pin()] * 3, [a_pin(), b"{}", a_pin(x=1)], [a_pin(title=5)]])
    with pytest.raises(Problem) as refused:
        await validator.validate(windows)
    errors = refused.value.document["errors"]
    assert {error["pin"] for error in errors} == {4, 6}
    assert "2 of 7 pins are invalid, none was stored; pin 4: " in str(refused.value)
