"""A stack of the template in moto, and how to ask what became of it."""

import base64
import itertools
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from cloud_stack.template import PATH

_changes = itertools.count(1)


@dataclass(frozen=True)
class Deployed:
    """One stack, from the moment that it is made."""

    name: str
    repository: str = "https://github.com/example/pinflow"

    def change(self, kind: str, **parameters: str) -> None:
        """Create or update the stack by a change set."""
        formation = boto3.client("cloudformation")
        place = {"StackName": self.name, "ChangeSetName": f"change-{next(_changes)}"}
        told = {"RepositoryUrl": self.repository, "Revision": "v0.1.0", **parameters}
        formation.create_change_set(
            **place,
            ChangeSetType=kind,
            TemplateBody=PATH.read_text(),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in told.items()],
        )
        formation.execute_change_set(**place)

    @cached_property
    def ids(self) -> dict[str, str]:
        """Return the physical id of every resource; those whose condition does not hold are left out."""
        resources = boto3.client("cloudformation").describe_stack_resources(StackName=self.name)
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in resources["StackResources"]
            if "LogicalResourceId" in resource
        }

    def outputs(self) -> dict[str, str]:
        """Return what the stack tells whoever made it."""
        (stack,) = boto3.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def secret(self, logical: str) -> str:
        """Return what a secret of the stack holds."""
        found = boto3.client("secretsmanager").get_secret_value(SecretId=self.ids[logical])
        return str(found["SecretString"])

    def role(self, logical: str) -> str:
        """Return the ARN of a role of the stack."""
        return str(boto3.client("iam").get_role(RoleName=self.ids[logical])["Role"]["Arn"])

    def one(self, service: str, question: str, **asked: Any) -> Any:
        """Return the only thing in the only list that a service answers with."""
        answer = getattr(boto3.client(service), question)(**asked)
        ((thing,),) = (value for key, value in answer.items() if isinstance(value, list))
        return thing

    def launches(self) -> Any:
        """Return what the newest version of the launch template says."""
        template = self.ids["Template"]
        return self.one(
            "ec2", "describe_launch_template_versions", LaunchTemplateId=template, Versions=["$Latest"]
        )["LaunchTemplateData"]

    def user_data(self) -> str:
        """Return what a host launched now has to do."""
        return base64.b64decode(self.launches()["UserData"]).decode()

    def host_env(self) -> dict[str, str]:
        """Return what user data write into host.env."""
        (lines,) = re.findall(r"<<'ENV'\n(.*?)\nENV\n", self.user_data(), re.DOTALL)
        return dict(line.split("=", 1) for line in lines.splitlines())
