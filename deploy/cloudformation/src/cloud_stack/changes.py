"""What a deployment would change, asked of CloudFormation before anything is changed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloud_stack import template
from cloud_stack.errors import StackError
from cloud_stack.stack import EMPTY, Stack

WITH_DATA = {"AWS::S3::Bucket", "AWS::EC2::Volume", "AWS::RDS::DBInstance", "AWS::SecretsManager::Secret"}
WORDS = {"Add": "added", "Modify": "modified", "Remove": "removed"}
# By its reason alone is a change set without changes told from one that failed.
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
POLL_SECONDS = 2


@dataclass(frozen=True)
class Change:
    """What becomes of one resource."""

    resource: str
    kind: str
    becomes: str
    "added, modified, replaced, perhaps replaced, removed."

    @property
    def loses_data(self) -> bool:
        """Return whether the stack lets go of data; the deletion policy says what is left of them."""
        return self.kind in WITH_DATA and self.becomes not in ("added", "modified")


@dataclass(frozen=True)
class ChangeSet:
    """A change set that CloudFormation has made, and nobody has executed."""

    stack: Stack
    stack_id: str
    arn: str
    made_the_stack: bool
    "CloudFormation makes an empty one for the change set of a first deployment."
    changes: list[Change] = field(default_factory=list)

    def execute(self) -> None:
        """Let CloudFormation begin."""
        self.stack.formation.execute_change_set(ChangeSetName=self.arn, StackName=self.stack_id)

    def discard(self) -> None:
        """Leave everything as it was."""
        if self.made_the_stack:
            self.stack.formation.delete_stack(StackName=self.stack_id)
        else:
            self.stack.formation.delete_change_set(ChangeSetName=self.arn, StackName=self.stack_id)


def prepare(stack: Stack, found: Mapping[str, Any] | None, told: Mapping[str, str]) -> ChangeSet | None:
    """Return the change set to these values, None without a change; what is not told stays as it was."""
    is_first = found is None or found["StackStatus"] == EMPTY
    made = stack.formation.create_change_set(
        StackName=stack.name,
        ChangeSetName=f"deploy-{time.time_ns()}",
        ChangeSetType="CREATE" if is_first else "UPDATE",
        TemplateBody=template.PATH.read_text(),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=_parameters({} if found is None or is_first else found, told),
    )
    change_set = ChangeSet(stack, made["StackId"], made["Id"], made_the_stack=found is None)
    try:
        answer = _made(stack, made["Id"])
        change_set.changes.extend(_changes(stack, made["Id"]))
    except BaseException:
        change_set.discard()
        raise
    if answer["Status"] == "FAILED":
        change_set.discard()
        reason = answer.get("StatusReason", "no reason given")
        if not any(words in reason for words in NO_CHANGES):
            raise StackError(f"CloudFormation refuses the change: {reason}")
        return None
    return change_set


def _parameters(found: Mapping[str, Any], told: Mapping[str, str]) -> list[dict[str, Any]]:
    known = template.read(template.PATH.read_text())["Parameters"]
    before = {parameter["ParameterKey"] for parameter in found.get("Parameters", [])}
    return [
        {"ParameterKey": name, "ParameterValue": told[name]}
        if name in told
        else {"ParameterKey": name, "UsePreviousValue": True}
        for name in known
        if name in told or name in before
    ]


def _made(stack: Stack, arn: str) -> dict[str, Any]:
    while True:
        answer = stack.formation.describe_change_set(ChangeSetName=arn)
        if answer["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            return dict(answer)
        time.sleep(POLL_SECONDS)


def _changes(stack: Stack, arn: str) -> list[Change]:
    pages = stack.formation.get_paginator("describe_change_set").paginate(ChangeSetName=arn)
    return [_change(entry["ResourceChange"]) for page in pages for entry in page.get("Changes", [])]


def _change(entry: Mapping[str, Any]) -> Change:
    replaced = {"True": "replaced", "Conditional": "perhaps replaced"}.get(entry.get("Replacement", ""))
    becomes = replaced or WORDS.get(entry["Action"], entry["Action"].lower())
    return Change(entry["LogicalResourceId"], entry["ResourceType"], becomes)
