"""What the runbooks tell to type is typed."""

import re
import shlex
import time

import pytest
from native_stack.settings import REPOSITORY

from compose.stack import ComposeStack

# A stopped member keeps its place in the group for a restart: its session must run out first.
DELETED_WITHIN_SECONDS = 30
RUNBOOKS = REPOSITORY / "docs/runbooks"
DELETE_OFFSETS = "exec kafka sh /etc/pinflow/tool.sh consumer-groups --delete-offsets"
# A word of the answer: what the page says that is seen there.
SEEN = {
    "exec kafka sh /etc/pinflow/tool.sh topics --describe --topic pins": "TopicId:",
    "exec kafka sh /etc/pinflow/tool.sh topics --describe --unavailable-partitions": "",
    "exec kafka sh /etc/pinflow/tool.sh topics --describe --under-replicated-partitions": "",
    # The reference dataset has none.
    "exec kafka sh /etc/pinflow/tool.sh console-consumer --topic pins.dead-letter": "a total of 0 messages",
    # Refused here: the sink runs.
    DELETE_OFFSETS: "actively subscribed to it",
    "exec cassandra sh /etc/pinflow/nodetool.sh tpstats": "MutationStage",
    "exec s3-sink health ready 8001": '"status":"ready"',
    "run --rm demo cql SELECT run_id, status": '"status": "done"',
    "run --rm demo cql SELECT run_id, set_aside": '"set_aside": {}',
    "run --rm demo sql SELECT * FROM stream_batches": '"batch_id"',
}


def commands() -> list[tuple[str, ...]]:
    """Return the words after `docker compose` of each command that a page shows on a line of its own."""
    pages = "".join(page.read_text(encoding="utf-8").replace("\\\n", "") for page in RUNBOOKS.glob("*.md"))
    told = re.findall(r"^ {4,}docker compose (.+)", pages, re.MULTILINE)
    return sorted({tuple(shlex.split(command, comments=True)) for command in told})


def typed(stack: ComposeStack, command: tuple[str, ...]) -> str:
    """Type it, without a terminal, and return all that it said."""
    done = stack.attempt(command[0], "--no-TTY", *command[1:])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_every_word_to_be_seen_is_of_a_command() -> None:
    assert all(any(" ".join(command).startswith(start) for command in commands()) for start in SEEN)


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_a_command_answers_as_its_page_says(stack: ComposeStack, command: tuple[str, ...]) -> None:
    seen = next(word for start, word in SEEN.items() if " ".join(command).startswith(start))
    assert seen in typed(stack, command)


@pytest.mark.usefixtures("loaded")
def test_the_offsets_of_a_stopped_sink_are_deleted(stack: ComposeStack) -> None:
    (command,) = (command for command in commands() if " ".join(command).startswith(DELETE_OFFSETS))
    stack.compose("stop", "s3-sink")
    try:
        deadline = time.monotonic() + DELETED_WITHIN_SECONDS
        said = ""
        while "Request succeeded" not in said and time.monotonic() < deadline:
            said = typed(stack, command)
        assert "Request succeeded for deleting offsets from group s3-sink" in said
    finally:
        stack.compose("up", "--wait", "--no-build")
