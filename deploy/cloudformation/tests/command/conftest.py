"""A small template in moto, and the command as a person calls it."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from cloud_stack import cli, progress, template
from moto.cloudformation.models import Event, cloudformation_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from template import formation
from template.body import REGION

PLACE = ("--stack", "pins", "--region", REGION)
SOURCE = ("--revision", "v1", "--repository", "https://example.org/pinflow")
TEMPLATE = """
Parameters:
  RepositoryUrl: {Type: String, AllowedPattern: "^https://.+$", ConstraintDescription: an address of https}
  Revision: {Type: String}
  GiB: {Type: Number, Default: 30, MinValue: 30, MaxValue: 100}
  Size: {Type: String, Default: small, AllowedValues: [small, large]}
  Domain: {Type: String, Default: "", AllowedPattern: "^[a-z.]*$", ConstraintDescription: in lower case}
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties: {DisplayName: !Ref Revision}
  Seed:
    Type: AWS::SecretsManager::Secret
    DeletionPolicy: Retain
    Properties: {Description: seed, GenerateSecretString: {PasswordLength: 64}}
  Password:
    Type: AWS::SecretsManager::Secret
    Properties: {Description: password, GenerateSecretString: {PasswordLength: 64}}
  Data:
    Type: AWS::EC2::Volume
    DeletionPolicy: Snapshot
    Properties: {AvailabilityZone: !Select [0, !GetAZs ""], Size: !Ref GiB, Tags: [{Key: Name, Value: data}]}
Outputs:
  Page: {Value: !Sub "${Revision} at ${Size}"}
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Path]:
    """An empty moto; the file of the template that the command takes there."""
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    # What a test changes by monkeypatch, which it asks for after this, is undone before this is.
    with (
        patch.object(template, "PATH", path),
        patch.object(progress, "POLL_SECONDS", 0),
        formation.running(),
    ):
        yield path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command."""

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["cloud-stack", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        said = capsys.readouterr()
        return Ended(int(caught.value.code or 0), said.out, said.err)

    return call


def in_moto() -> Any:
    """Return the stack as moto holds it, to bring it into a state that moto never reaches."""
    (stack,) = cloudformation_backends[DEFAULT_ACCOUNT_ID][REGION].stacks.values()
    return stack


def event(stack: Any, resource: str, status: str, reason: str = "") -> Event:
    return Event(
        stack.stack_id, stack.name, resource, f"id-of-{resource}", "AWS::EC2::Volume", status, reason, None
    )
