"""What a run of batch-etl needs of memory, with the default driver, under its container's limit."""

import asyncio
import json
import os
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from batch_etl.exits import Exit
from batch_world import NOON, SCRIPT, World, environment
from native_stack.stack import Stack
from peak_memory import peak_memory
from pin_emulator import reference

LONG = bool(os.environ.get("PINFLOW_LONG"))
PINS = 1_000_000 if LONG else 30_000
LARGE_PINS = 14_170 if LONG else 1_000
LINES_BYTES = 16 * 1024 * 1024
COMPOSE = Path(__file__).parents[2] / "deploy/compose/batch.yaml"


@pytest.fixture
async def world(stack: Stack) -> World:
    world = World(stack)
    await world.create_bucket()
    return world


def limit() -> int:
    """The MiB that the container of the job may hold."""
    text = str(yaml.safe_load(COMPOSE.read_text())["services"]["batch-etl"]["mem_limit"])
    return int(text.removesuffix("m"))


def realistic_pins(count: int) -> Iterator[bytes]:
    """Pins of the reference dataset over and over, each with an id of its own."""
    for n, text in enumerate(islice(cycle(tuple(reference.pins())), count)):
        at = text.index(b'"unique_id":"') + len(b'"unique_id":"')
        yield text[:at] + str(UUID(int=n, version=4)).encode() + text[at + 36 :]


def large_pins(count: int) -> Iterator[bytes]:
    """Legal pins of 62 KiB that compress to next to nothing."""
    text = "a" * 15_500
    for n in range(count):
        texts = dict.fromkeys(("title", "description", "tag_list", "poster_name"), text)
        whole = {"index": n, "unique_id": str(UUID(int=n + 2**100)), "image_src": f"http://x/{n}.jpg"}
        yield json.dumps(whole | texts).encode()


async def archive_all(
    world: World, pins: Iterator[bytes], partition: int = 0, lines_bytes: int = LINES_BYTES
) -> int:
    """Store the pins as objects of so many bytes, like the sink; return how many bytes they are."""
    start, held, total = 0, list[bytes](), 0
    for pin in pins:
        held.append(pin)
        total += len(pin)
        if sum_of_last(held, lines_bytes):
            await world.archive(partition, start, list(held), NOON + start)
            start += len(held)
            held.clear()
    if held:
        await world.archive(partition, start, list(held), NOON + start)
    return total


def sum_of_last(held: list[bytes], lines_bytes: int) -> bool:
    return len(held) * len(held[-1]) >= lines_bytes


async def measured(world: World) -> tuple[int, dict[str, Any], dict[str, int]]:
    """Run the command; return its exit code, what it printed, and its peak of memory."""
    process = await asyncio.create_subprocess_exec(
        SCRIPT,
        "run",
        "--json",
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | environment(world.settings) | {"BATCH_SPARK_MASTER": "local[2]"},
    )
    peak, (printed, _) = await asyncio.gather(peak_memory(process.pid), process.communicate())
    return process.returncode or 0, json.loads(printed), peak


@pytest.mark.timeout(3_600)
async def test_a_backlog_is_loaded_within_the_container_s_memory(world: World) -> None:
    size = await archive_all(world, realistic_pins(PINS))
    large = await archive_all(world, large_pins(LARGE_PINS), partition=1, lines_bytes=2**40)
    code, said, peak = await measured(world)
    print(  # noqa: T201
        f"{PINS:,} pins of {size / PINS:.0f} bytes and {large / 2**20:.0f} MiB in one object: exit {code}, "
        f"peak {peak} MiB, {said}"
    )
    assert code == Exit.DONE, said
    assert said["read"] == PINS + LARGE_PINS
    # Every large pin has an image.
    assert said["rejected"].keys() == {"no_image"}
    assert said["clean"] == said["read"] - said["rejected"]["no_image"]
    assert sum(peak.values()) < limit()
