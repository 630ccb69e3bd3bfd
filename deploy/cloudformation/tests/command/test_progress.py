"""Waiting for a stack: what a terminal sees, what a log does, and what Ctrl-C leaves."""

import io
from pathlib import Path

import boto3
import pytest
from cloud_stack.errors import StackError
from cloud_stack.progress import Follower
from cloud_stack.stack import Stack
from rich.console import Console
from template.body import REGION

from .conftest import Run, in_moto
from .test_deploy import DEPLOY


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_sees_events_and_a_log_does_not(aws: Path, run: Run, *, terminal: bool) -> None:
    run(*DEPLOY)
    said = io.StringIO()
    stack = in_moto()
    follower = Follower(Stack("pins", REGION), stack.stack_id, Console(file=said, force_terminal=terminal))
    stack._add_stack_event("UPDATE_IN_PROGRESS")
    stack._add_stack_event("UPDATE_COMPLETE")
    assert follower.wait().status == "UPDATE_COMPLETE"
    assert ("pins: UPDATE_IN_PROGRESS" in said.getvalue()) is terminal
    assert "CREATE_COMPLETE" not in said.getvalue()


def test_ctrl_c_ends_the_waiting_alone(aws: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    run(*DEPLOY)
    follower = Follower(Stack("pins", REGION), in_moto().stack_id, Console(file=io.StringIO()))
    # Not of all: other threads of this process sleep too.
    monkeypatch.setattr("cloud_stack.progress.sleep", interrupt)
    with pytest.raises(
        StackError, match=r"CloudFormation goes on .* describe-stack-events --region eu-west-1"
    ):
        follower.wait()
    (stack,) = boto3.client("cloudformation").describe_stacks()["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
