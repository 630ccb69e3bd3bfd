"""The template as data: short forms read, and its functions resolved as far as a test needs it."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cfnlint.decode import decode
from cloud_stack.template import PATH

# A direct upload takes no more.
LARGEST_BODY = 51_200
ACCOUNT = "111122223333"
REGION = "eu-west-1"
STACK = "pins"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}
# What is more than the logical id with its attribute behind it.
REFS = {"AWS::SecretsManager::Secret": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{{}}-AbCdEf"}
ARNS = {
    "AWS::IAM::InstanceProfile": f"arn:aws:iam::{ACCOUNT}:instance-profile/{{}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
}
NOTHING = object()
Body = dict[str, Any]


def read() -> Body:
    """Return the template with the long form of every function."""
    body, errors = decode(str(PATH))
    assert not errors, errors
    return dict(json.loads(json.dumps(body)))


def strings(node: Any) -> Iterator[str]:
    """Return every string below a node, keys left out."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for item in node.values() if isinstance(node, dict) else node:
            yield from strings(item)


def as_list(node: Any) -> list[Any]:
    """Return what may be one thing or several as a list; none as an empty one."""
    return node if isinstance(node, list) else [] if node is None else [node]


@dataclass(frozen=True)
class View:
    """The template as one outcome of its conditions shows it."""

    body: Body
    conditions: bool = True
    "What every condition is taken for."

    def of(self, *types: str) -> Iterator[tuple[str, Body]]:
        """Return name and resolved properties of the resources of these types, in order."""
        for name, resource in self.body["Resources"].items():
            if resource["Type"] in types and ("Condition" not in resource or self.conditions):
                yield name, self.resolve(resource.get("Properties", {}))

    def resource(self, name: str) -> Body:
        """Return the resolved properties of one."""
        return dict(self.resolve(self.body["Resources"][name]["Properties"]))

    def resolve(self, node: Any) -> Any:
        """Return a node without functions; parameters have their defaults, ids are made up."""
        if isinstance(node, list):
            return [item for item in map(self.resolve, node) if item is not NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((key, argument),) = node.items()
            if key == "Ref" or key.startswith("Fn::"):
                return self._call(key, argument)
        resolved = {key: self.resolve(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not NOTHING}

    def _call(self, function: str, argument: Any) -> Any:
        known: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::Base64": self.resolve,
            "Fn::GetAtt": lambda names: self._attribute(*names),
            "Fn::GetAZs": lambda _: [f"{REGION}{zone}" for zone in "abc"],
            "Fn::If": lambda branches: self.resolve(branches[1 if self.conditions else 2]),
            "Fn::Select": lambda choice: self.resolve(choice[1])[choice[0]],
            "Fn::Sub": self._substitute,
        }
        if function not in known:
            raise NotImplementedError(f"{function} is not resolved here: add it")
        return known[function](argument)

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NOTHING
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.body["Parameters"]:
            return self.body["Parameters"][name].get("Default", f"<{name}>")
        return REFS.get(self.body["Resources"][name]["Type"], "{}").format(name)

    def _attribute(self, name: str, attribute: str) -> str:
        kind = self.body["Resources"][name]["Type"]
        return ARNS[kind].format(name) if attribute == "Arn" else f"{name}.{attribute}"

    def _substitute(self, argument: str | list[Any]) -> str:
        text, values = argument if isinstance(argument, list) else (argument, {})
        known = {name: self.resolve(value) for name, value in values.items()}

        def replace(found: re.Match[str]) -> str:
            name, _, attribute = found[1].partition(".")
            if name in known:
                return str(known[name])
            return str(self._attribute(name, attribute) if attribute else self._ref(name))

        return re.sub(r"\$\{([^!}]+)\}", replace, text)
