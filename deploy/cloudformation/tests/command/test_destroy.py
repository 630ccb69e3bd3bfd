"""`cloud-stack destroy`: what goes, what stays, and how that goes too."""

from pathlib import Path

import boto3
import pytest
import typer
from cloud_stack.changes import WITH_DATA
from cloud_stack.destroying import FOR_GOOD
from moto.cloudformation import models
from template.deployed import Deployed

from .conftest import PLACE, SOURCE, Run, event, in_moto

DESTROY = ("destroy", *PLACE)


@pytest.fixture
def deployed(aws: Path, run: Run) -> None:
    assert run("deploy", *PLACE, *SOURCE).code == 0


def test_what_stays_is_said_before_and_its_end_after(deployed: None, run: Run) -> None:
    there = Deployed("pins").ids
    ended = run(*DESTROY, "--yes")
    assert ended.code == 0
    before, after = ended.err.split("pins is gone")
    assert f"stays: all of Seed, {there['Seed']}" in before
    assert f"stays: a last snapshot of Data, {there['Data']}" in before
    assert "Topic" not in ended.err
    assert "Password" not in ended.err
    region = "--region eu-west-1"
    assert f"aws secretsmanager delete-secret {region} --secret-id {there['Seed']}" in after
    assert f"aws ec2 describe-snapshots {region} --filters Name=volume-id,Values={there['Data']}" in after
    assert boto3.client("cloudformation").describe_stacks()["Stacks"] == []


def test_whatever_holds_data_can_be_deleted_for_good() -> None:
    assert FOR_GOOD.keys() == WITH_DATA


def test_what_is_retained_is_still_there(deployed: None, run: Run) -> None:
    seed = Deployed("pins").ids["Seed"]
    assert run(*DESTROY, "--yes").code == 0
    assert boto3.client("secretsmanager").describe_secret(SecretId=seed)["ARN"] == seed


@pytest.mark.parametrize(("typed", "code", "left"), [("pins", 0, 0), ("pin", 1, 1)])
def test_the_name_is_typed_first(
    deployed: None, run: Run, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, left: int
) -> None:
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: typed)
    ended = run(*DESTROY)
    assert ended.code == code
    assert ("nothing was deleted" in ended.err) is bool(left)
    assert len(boto3.client("cloudformation").describe_stacks()["Stacks"]) == left


def test_an_empty_stack_that_a_change_set_left_goes(aws: Path, run: Run) -> None:
    formation = boto3.client("cloudformation")
    formation.create_change_set(
        StackName="pins", ChangeSetName="left", ChangeSetType="CREATE", TemplateBody="Resources: {}"
    )
    assert run(*DESTROY, "--yes").code == 0
    assert formation.describe_stacks()["Stacks"] == []


def test_nothing_there_is_no_error(aws: Path, run: Run) -> None:
    ended = run(*DESTROY)
    assert ended.code == 0
    assert "There is no stack pins in eu-west-1." in ended.err


def test_a_stack_under_change_is_left_alone(deployed: None, run: Run) -> None:
    in_moto().status = "UPDATE_IN_PROGRESS"
    ended = run(*DESTROY, "--yes")
    assert ended.code == 1
    assert "pins is UPDATE_IN_PROGRESS" in ended.err
    assert in_moto().status == "UPDATE_IN_PROGRESS"


def test_a_failure_begins_with_its_reason(deployed: None, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(stack: models.Stack) -> None:
        stack.events.append(event(stack, "Data", "DELETE_FAILED", "It is in use"))
        stack._add_stack_event("DELETE_FAILED")

    monkeypatch.setattr(models.Stack, "delete", fail)
    ended = run(*DESTROY, "--yes")
    assert ended.code == 1
    assert "cloud-stack: Data (AWS::EC2::Volume): It is in use\npins is DELETE_FAILED" in ended.err
    assert "is gone" not in ended.err
