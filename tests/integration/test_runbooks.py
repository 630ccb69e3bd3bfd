"""What the runbooks tell to type on the native stack is typed; on the compose stack tests/compose does it."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from native_environment import native_environment
from native_stack.clients import topic_settings
from native_stack.settings import REPOSITORY
from native_stack.stack import Stack
from service_runtime.kafka import client_options

RUNBOOKS = sorted((REPOSITORY / "docs/runbooks").glob("*.md"))
ON_COMPOSE = "docker compose "
ON_NATIVE = ("make ", "deploy/uv run native ")
DELETE_OFFSETS = "deploy/uv run native kafka consumer-groups --delete-offsets"
# A word of the answer: what the page says that is seen there. The first that fits the command's beginning.
SEEN = {
    "make status": "kafka",
    "deploy/uv run native kafka topics --describe --topic pins": "TopicId:",
    "deploy/uv run native kafka topics --describe --unavailable-partitions": "",
    "deploy/uv run native kafka topics --describe --under-replicated-partitions": "",
    "deploy/uv run native kafka console-consumer --topic pins.dead-letter": "Processed a total of",
    DELETE_OFFSETS: "Request succeeded for deleting offsets from group s3-sink",
    'make cql Q="SELECT * FROM system_views.thread_pools"': "MutationStage",
    'make cql Q="SELECT run_id, status': "started_at",
    'make cql Q="SELECT run_id, set_aside': "set_aside",
    'make sql Q="SELECT * FROM stream_batches': "committed_at",
}


def shown(page: Path) -> list[str]:
    """Return the commands that a page shows on lines of their own, in its order."""
    text = page.read_text(encoding="utf-8").replace("\\\n", "")
    return [line.strip() for line in re.findall(r"^ {4,}(\S.*)", text, re.MULTILINE)]


NATIVE = sorted({command for page in RUNBOOKS for command in shown(page) if command.startswith(ON_NATIVE)})


@pytest.fixture
async def committed(stack: Stack) -> None:
    """The sink's group has an offset of the topic, and no member."""
    kafka = client_options(topic_settings(stack))
    async with AIOKafkaConsumer(**kafka, group_id="s3-sink", enable_auto_commit=False) as consumer:
        consumer.assign([TopicPartition("pins", 0)])
        await consumer.commit({TopicPartition("pins", 0): 0})


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_every_command_has_one_for_the_other_stack_beside_it(page: Path) -> None:
    stacks = ["compose" if command.startswith(ON_COMPOSE) else "native" for command in shown(page)]
    assert all(command.startswith((ON_COMPOSE, *ON_NATIVE)) for command in shown(page))
    assert stacks == ["compose", "native"] * (len(stacks) // 2)


def test_every_word_to_be_seen_is_of_a_command() -> None:
    assert len(NATIVE) >= len(SEEN)
    assert all(any(command.startswith(start) for command in NATIVE) for start in SEEN)


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("command", NATIVE)
def test_a_command_answers_as_its_page_says(stack: Stack, command: str) -> None:
    word = next(word for start, word in SEEN.items() if command.startswith(start))
    environment = os.environ | native_environment(stack.settings)
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=REPOSITORY,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert word in done.stdout + done.stderr
