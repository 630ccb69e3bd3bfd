"""Destroys a stack, and says what is left of it and how that goes, too."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from cloud_stack import template
from cloud_stack.errors import StackError
from cloud_stack.progress import Follower
from cloud_stack.stack import EMPTY, Stack

SNAPSHOT = "Snapshot"
# What deletes for good what a deletion policy keeps; `{id}` in `{region}`.
FOR_GOOD = {
    "AWS::S3::Bucket": "deploy/uv run python -c "
    "\"import boto3; b = boto3.resource('s3').Bucket('{id}'); b.Policy().delete(); "
    'b.object_versions.delete(); b.delete()"',
    "AWS::SecretsManager::Secret": "aws secretsmanager delete-secret --region {region} --secret-id {id} "
    "--force-delete-without-recovery",
    "AWS::EC2::Volume": "aws ec2 describe-snapshots --region {region} --filters Name=volume-id,Values={id} "
    "--query 'Snapshots[].[SnapshotId]' --output text | "
    "xargs -n 1 aws ec2 delete-snapshot --region {region} --snapshot-id",
    "AWS::RDS::DBInstance": "aws rds describe-db-snapshots --region {region} --db-instance-identifier {id} "
    "--query 'DBSnapshots[].[DBSnapshotIdentifier]' --output text | "
    "xargs -n 1 aws rds delete-db-snapshot --region {region} --db-snapshot-identifier",
}


@dataclass(frozen=True)
class Kept:
    """What stays of one resource."""

    resource: str
    kind: str
    id: str
    policy: str

    def __str__(self) -> str:
        what = "a last snapshot of" if self.policy == SNAPSHOT else "all of"
        return f"{what} {self.resource}, {self.id}"


def destroy(stack: Stack, console: Console, agree: Callable[[], bool]) -> None:
    """Delete the stack; raise StackError when that fails or nobody agrees."""
    found = stack.describe()
    if not found:
        console.print(f"There is no stack {stack.name} in {stack.region}.")
        return
    stack.refuse_unless_at_rest(found["StackStatus"])
    kept = [] if found["StackStatus"] == EMPTY else _kept(stack)
    for item in kept:
        console.print(f"stays: {item}")
    if not agree():
        raise StackError("nothing was deleted: that is not the name of the stack")
    follower = Follower(stack, found["StackId"], console)
    stack.formation.delete_stack(StackName=found["StackId"])
    outcome = follower.wait()
    if outcome.status != "DELETE_COMPLETE":
        raise StackError(f"{outcome.failed}\n{stack.name} is {outcome.status}. {stack.events_command}")
    console.print(f"{stack.name} is gone, after {outcome.seconds} s.")
    for item in kept:
        command = FOR_GOOD[item.kind].format(id=item.id, region=stack.region)
        console.print(f"\nTo delete {item} for good:\n  {command}")


def _kept(stack: Stack) -> list[Kept]:
    """Return what the deployed template keeps of what is there now."""
    body = stack.formation.get_template(StackName=stack.name)["TemplateBody"]
    resources = template.read(str(body)).get("Resources", {})
    pages = stack.formation.get_paginator("list_stack_resources").paginate(StackName=stack.name)
    there = [
        entry for page in pages for entry in page["StackResourceSummaries"] if "LogicalResourceId" in entry
    ]
    kept = []
    for entry in there:
        name, kind = entry["LogicalResourceId"], entry["ResourceType"]
        policy = resources.get(name, {}).get("DeletionPolicy", "Delete")
        if policy != "Delete" and kind in FOR_GOOD and entry["ResourceStatus"] != "DELETE_COMPLETE":
            kept.append(Kept(name, kind, entry["PhysicalResourceId"], policy))
    return kept
