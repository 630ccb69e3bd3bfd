"""A stack in CloudFormation: what it is, and whether it takes a change now."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore.exceptions import ClientError

from cloud_stack.errors import StackError

# A change set of a first deployment that was never executed.
EMPTY = "REVIEW_IN_PROGRESS"
NEVER_WORKED = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}


@dataclass(frozen=True)
class Stack:
    """One name in one region."""

    name: str
    region: str

    @cached_property
    def formation(self) -> Any:
        """Return a client of CloudFormation."""
        return boto3.client("cloudformation", region_name=self.region)

    @property
    def events_command(self) -> str:
        """Return how to look without this command."""
        return f"aws cloudformation describe-stack-events --region {self.region} --stack-name {self.name}"

    def describe(self) -> dict[str, Any] | None:
        """Return what CloudFormation says of it; None when there is none."""
        try:
            return dict(self.formation.describe_stacks(StackName=self.name)["Stacks"][0])
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return None
            raise

    def refuse_unless_at_rest(self, status: str) -> None:
        """Raise StackError when another change is under way."""
        if status.endswith("_IN_PROGRESS") and status != EMPTY:
            raise StackError(f"{self.name} is {status}: wait until that has ended. {self.events_command}")

    def refuse_unless_deployable(self, status: str) -> None:
        """Raise StackError when it takes no deployment."""
        self.refuse_unless_at_rest(status)
        if status in NEVER_WORKED:
            raise StackError(
                f"{self.name} is {status}: nothing of it can be deployed on. {self.events_command} says why. "
                f"First `make destroy STACK={self.name} REGION={self.region}`, then deploy again"
            )
        if status == "UPDATE_ROLLBACK_FAILED":
            raise StackError(
                f"{self.name} is {status}: remove the cause, then `aws cloudformation "
                f"continue-update-rollback --region {self.region} --stack-name {self.name}`, and deploy again"
            )
