"""The servers' own tools, as README gives them to a person, on the real servers."""

import subprocess

import pytest
from native_stack import shells
from native_stack.invocation import Invocation
from native_stack.stack import Stack


def said(tool: Invocation) -> str:
    done = subprocess.run(
        tool.command, env=dict(tool.environment), check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (("topics", "--describe", "--topic", "pins"), "TopicId:"),
        (("consumer-groups", "--list"), ""),
        (("console-consumer", "--topic", "pins.dead-letter", "--timeout-ms", "2000"), ""),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_kafkas_tools_reach_the_broker(stack: Stack, arguments: tuple[str, ...], seen: str) -> None:
    assert seen in said(shells.kafka(stack, arguments[0], arguments[1:]))


def test_a_statement_reaches_the_catalogue_and_the_windows(stack: Stack) -> None:
    assert "count" in said(shells.cql(stack, "SELECT count(*) FROM pins"))
    assert "count" in said(shells.sql(stack, "SELECT count(*) FROM pin_windows"))
