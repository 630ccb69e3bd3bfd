"""The servers' own tools, as README gives them to a person, on the real servers."""

import json
import subprocess

import pytest
from native_stack import shells
from native_stack.invocation import Invocation
from native_stack.stack import Stack


def run(tool: Invocation) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        tool.command, env=dict(tool.environment), check=False, capture_output=True, text=True, timeout=60
    )


def said(tool: Invocation) -> str:
    done = run(tool)
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


def test_the_demo_asks_both_stores_and_answers_in_json(stack: Stack) -> None:
    catalogue = said(stack.job("pinflow-demo", "cql", "SELECT table_name FROM system_schema.tables LIMIT 1"))
    assert json.loads(catalogue).keys() == {"table_name"}
    windows = said(stack.job("pinflow-demo", "sql", "SELECT count(*), now() FROM pin_windows"))
    assert json.loads(windows).keys() == {"count", "now"}


def test_a_question_that_is_refused_is_told_with_the_stores_own_words(stack: Stack) -> None:
    done = run(stack.job("pinflow-demo", "sql", "SELECT * FROM nowhere"))
    assert done.returncode == 1
    assert 'demo: PostgreSQL: relation "nowhere" does not exist' in done.stderr
