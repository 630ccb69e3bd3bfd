"""`cloud-stack deploy`: what it does to a stack, and each thing it has to say."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
import typer
from cloud_stack import template
from cloud_stack.changes import Change, _change
from cloud_stack.template import PATH as REAL
from moto.cloudformation.models import ChangeSet
from moto.cloudformation.responses import CloudFormationResponse

from .conftest import PLACE, SOURCE, Run, event, in_moto

DEPLOY = ("deploy", *PLACE, *SOURCE)
UPDATE = ("deploy", *PLACE, "--revision", "v2", "--repository", "https://example.org/pinflow")


def stacks() -> list[dict[str, Any]]:
    return list(boto3.client("cloudformation").describe_stacks()["Stacks"])


def parameters() -> dict[str, str]:
    (stack,) = stacks()
    return {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack["Parameters"]}


def lose_the_volume(path: Path) -> None:
    """Take the resource with data out of the template."""
    text = path.read_text()
    path.write_text(text[: text.index("  Data:")] + text[text.index("Outputs:") :])


def test_a_first_deployment_shows_what_is_added_and_ends_with_the_outputs(aws: Path, run: Run) -> None:
    ended = run(*DEPLOY, "--parameter", "Size=large")
    assert ended.code == 0
    assert ended.out.split() == ["Page", "v1", "at", "large"]
    assert "v1 of https://example.org/pinflow" in ended.err
    assert ended.err.count(" added") == 4
    assert "pins is CREATE_COMPLETE after" in ended.err


def test_an_update_keeps_what_is_not_told(aws: Path, run: Run) -> None:
    run(*DEPLOY, "--parameter", "Size=large", "--parameter", "GiB=50")
    ended = run(*UPDATE)
    assert (ended.code, ended.out.split()) == (0, ["Page", "v2", "at", "large"])
    assert parameters().items() >= {"Size": "large", "GiB": "50", "Revision": "v2"}.items()


def test_an_update_without_changes_says_so(aws: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # Moto refuses the call itself; AWS makes a change set that has failed, as moto does after that.
    monkeypatch.setattr(CloudFormationResponse, "_validate_different_update", lambda *_: None)
    told = ("--parameter", "GiB=50", "--parameter", "Size=large", "--parameter", "Domain=a")
    run(*DEPLOY, *told)
    ended = run(*DEPLOY, *told)
    assert ended.code == 0
    assert "No changes" in ended.err
    assert ended.out.split() == ["Page", "v1", "at", "large"]


def test_a_change_set_that_cannot_be_made_is_an_error(
    aws: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChangeSet, "status", property(lambda _: "FAILED", lambda *_: None), raising=False)
    monkeypatch.setattr(
        ChangeSet, "status_reason", property(lambda _: "Transform failed", lambda *_: None), raising=False
    )
    ended = run(*DEPLOY)
    assert ended.code == 1
    assert "refuses the change: Transform failed" in ended.err
    assert stacks() == []


def test_a_dry_run_changes_nothing_and_leaves_nothing(aws: Path, run: Run) -> None:
    ended = run(*DEPLOY, "--dry-run", "--json")
    assert ended.code == 0
    assert "Nothing was changed." in ended.err
    assert {change["becomes"] for change in json.loads(ended.out)["changes"]} == {"added"}
    assert stacks() == []


def test_a_dry_run_of_an_update_leaves_the_stack_as_it_was(aws: Path, run: Run) -> None:
    run(*DEPLOY)
    lose_the_volume(aws)
    ended = run(*UPDATE, "--dry-run")
    assert "removed" in ended.err
    assert parameters()["Revision"] == "v1"
    assert boto3.client("cloudformation").list_change_sets(StackName="pins")["Summaries"][1:] == []


@pytest.mark.parametrize(("yes", "revision"), [((), "v1"), (("--yes",), "v2")])
def test_a_resource_with_data_goes_only_if_somebody_agrees(
    aws: Path, run: Run, monkeypatch: pytest.MonkeyPatch, yes: tuple[str, ...], revision: str
) -> None:
    asked: list[str] = []

    def refuse(question: str, **_: bool) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(typer, "confirm", refuse)
    run(*DEPLOY)
    lose_the_volume(aws)
    ended = run(*UPDATE, *yes)
    assert parameters()["Revision"] == revision
    if yes:
        assert (ended.code, asked) == (0, [])
    else:
        assert (ended.code, len(asked)) == (1, 1)
        assert "Data is removed, and data with it" in asked[0]
        assert "nothing was changed" in ended.err


def test_whoever_is_not_there_does_not_agree(aws: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    run(*DEPLOY)
    lose_the_volume(aws)
    ended = run(*UPDATE)
    assert (ended.code, parameters()["Revision"]) == (1, "v1")
    assert "nobody agreed that a resource with data goes (--yes does)" in ended.err


@pytest.mark.parametrize(
    ("entry", "becomes", "loses"),
    [
        ({"Action": "Add"}, "added", False),
        ({"Action": "Modify", "Replacement": "False"}, "modified", False),
        ({"Action": "Modify", "Replacement": "True"}, "replaced", True),
        ({"Action": "Modify", "Replacement": "Conditional"}, "perhaps replaced", True),
        ({"Action": "Remove"}, "removed", True),
        ({"Action": "Dynamic"}, "dynamic", True),
    ],
)
def test_a_change_says_what_becomes_of_the_resource(entry: dict[str, str], becomes: str, loses: bool) -> None:
    change = _change({"LogicalResourceId": "Data", "ResourceType": "AWS::EC2::Volume", **entry})
    assert change == Change("Data", "AWS::EC2::Volume", becomes)
    assert change.loses_data is loses
    assert not _change({"LogicalResourceId": "Topic", "ResourceType": "AWS::SNS::Topic", **entry}).loses_data


def test_a_failure_begins_with_its_first_reason(aws: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def roll_back(change: ChangeSet) -> None:
        stack = change.stack
        stack.events += [
            event(stack, "Data", "CREATE_IN_PROGRESS"),
            event(stack, "Topic", "CREATE_FAILED", "Resource creation cancelled"),
            event(stack, "Data", "CREATE_FAILED", "There is no such zone"),
            event(stack, "Seed", "CREATE_FAILED", "Another reason"),
        ]
        stack._add_stack_event("ROLLBACK_IN_PROGRESS")
        stack._add_stack_event("ROLLBACK_COMPLETE")

    monkeypatch.setattr(ChangeSet, "apply", roll_back)
    ended = run(*DEPLOY)
    assert ended.code == 1
    failed, then = ended.err.strip().splitlines()[-2:]
    assert failed == "cloud-stack: Data (AWS::EC2::Volume): There is no such zone"
    assert "pins is ROLLBACK_COMPLETE after" in then
    assert "Another reason" not in ended.err


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("ROLLBACK_COMPLETE", "make destroy STACK=pins REGION=eu-west-1"),
        ("UPDATE_IN_PROGRESS", "wait until that has ended"),
        ("DELETE_IN_PROGRESS", "wait until that has ended"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("DELETE_FAILED", "make destroy STACK=pins REGION=eu-west-1"),
    ],
)
def test_a_stack_that_takes_no_change_says_why(aws: Path, run: Run, status: str, says: str) -> None:
    run(*DEPLOY)
    in_moto().status = status
    ended = run(*UPDATE)
    assert ended.code == 1
    assert f"pins is {status}" in ended.err
    assert says in ended.err
    assert parameters()["Revision"] == "v1"


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("Colour=red", "is not Name=Value of one of these: GiB, Size, Domain"),
        ("Size", "is not Name=Value"),
        ("Revision=v3", "is not Name=Value"),
        ("Size=huge", "Size=huge does not fit, it has to be one of small, large"),
        ("GiB=10", "it has to be a number from 30 to 100"),
        ("GiB=many", "it has to be a number from 30 to 100"),
        ("Domain=Example.org", "it has to be in lower case"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused_before_anything_is_sent(
    aws: Path, run: Run, told: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://nobody.invalid")
    ended = run(*DEPLOY, "--parameter", told)
    assert ended.code == 1
    assert says in ended.err


def test_a_repository_is_checked_too(aws: Path, run: Run) -> None:
    ended = run("deploy", *PLACE, "--revision", "v1", "--repository", "git@example.org:pinflow")
    assert "it has to be an address of https" in ended.err
    assert stacks() == []


def test_the_real_template_is_deployed_for_a_script(
    aws: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template, "PATH", REAL)
    ended = run(*DEPLOY, "--parameter", "AlarmEmail=on-call@example.org", "--json")
    assert ended.code == 0
    said = json.loads(ended.out)
    assert said["outputs"]["PinsUrl"].startswith("https://")
    assert {"resource": "Host", "kind": "AWS::AutoScaling::AutoScalingGroup", "becomes": "added"} in said[
        "changes"
    ]


def test_what_is_interrupted_leaves_nothing(aws: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cloud_stack.changes._made", interrupted)
    ended = run(*DEPLOY)
    assert ended.code != 0
    assert stacks() == []
