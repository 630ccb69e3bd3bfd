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
TOOL = ("exec", "kafka", "sh", "/etc/pinflow/tool.sh")
# A word of the tool's answer: what the page says that is seen there.
SEEN = {
    "topics --describe --topic pins": "TopicId:",
    "topics --describe --unavailable-partitions": "",
    "topics --describe --under-replicated-partitions": "",
    # The reference dataset has none.
    "console-consumer --topic pins.dead-letter": "Processed a total of 0 messages",
    # Refused here: the sink runs.
    "consumer-groups --delete-offsets": "actively subscribed to it",
}


def commands() -> list[str]:
    """Return what the pages tell Kafka's tools, each once."""
    pages = "".join(page.read_text(encoding="utf-8").replace("\\\n", "") for page in RUNBOOKS.glob("*.md"))
    told = re.findall(rf"docker compose {' '.join(TOOL)} (.+)", pages)
    return sorted({" ".join(shlex.split(command)) for command in told})


def test_every_command_has_something_to_be_seen() -> None:
    assert all(any(command.startswith(start) for command in commands()) for start in SEEN)


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("command", commands())
def test_kafkas_tools_answer_as_the_page_says(stack: ComposeStack, command: str) -> None:
    seen = next(word for start, word in SEEN.items() if command.startswith(start))
    done = stack.attempt("exec", "--no-TTY", *TOOL[1:], *command.split())
    assert done.returncode == 0, done.stderr
    assert seen in done.stdout + done.stderr


@pytest.mark.usefixtures("loaded")
def test_the_offsets_of_a_stopped_sink_are_deleted(stack: ComposeStack) -> None:
    (command,) = (command for command in commands() if command.startswith("consumer-groups --delete-offsets"))
    stack.compose("stop", "s3-sink")
    try:
        deadline = time.monotonic() + DELETED_WITHIN_SECONDS
        said = ""
        while "Request succeeded" not in said and time.monotonic() < deadline:
            said = stack.compose("exec", "--no-TTY", *TOOL[1:], *command.split())
        assert "Request succeeded for deleting offsets from group s3-sink" in said
    finally:
        stack.compose("up", "--wait", "--no-build")
