"""What IAM answers: explicit deny, else allow, else implicit deny; as far as the template's policies need it.

After AWS's pages on policy evaluation logic and on condition operators, for requests within one account:
there an allow of the identity's policies or of the resource's is enough. What is not known here is an error.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from template.body import as_list

Document = Mapping[str, Any]
Statement = Mapping[str, Any]
KNOWN = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}


class UnsupportedPolicyError(Exception):
    """A policy says what this evaluator does not know."""


class Decision(StrEnum):
    """How a request ends."""

    DENIED = "explicit deny"
    ALLOWED = "allow"
    NOT_ALLOWED = "implicit deny"


@dataclass(frozen=True)
class Request:
    """Who wants to do what, to what, and what is known of it."""

    principal: str
    "The ARN of a role, or the name of a service."
    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def decide(request: Request, identity: Iterable[Document], resource: Iterable[Document] = ()) -> Decision:
    """Return the answer to a request by the policies of its principal and of its resource."""
    mine = [one for document in identity for one in _statements(document) if _applies(one, request)]
    its = [
        one
        for document in resource
        for one in _statements(document)
        if _names(one["Principal"], request.principal) and _applies(one, request)
    ]
    effects = {statement["Effect"] for statement in (*mine, *its)}
    if "Deny" in effects:
        return Decision.DENIED
    return Decision.ALLOWED if "Allow" in effects else Decision.NOT_ALLOWED


def trusts(trust: Document, principal: str) -> bool:
    """Return whether a role's trust policy lets a principal take it on; no other policy can in its stead."""
    return decide(Request(principal, "sts:AssumeRole", "*"), [], [_of_a_role(trust)]) is Decision.ALLOWED


def _of_a_role(trust: Document) -> Document:
    """Return a trust policy with the resource that it never names: its role."""
    return {"Statement": [{**statement, "Resource": "*"} for statement in as_list(trust["Statement"])]}


def _statements(document: Document) -> list[Statement]:
    statements = as_list(document["Statement"])
    for statement in statements:
        if unknown := statement.keys() - KNOWN:
            raise UnsupportedPolicyError(f"{sorted(unknown)} in a statement")
        if statement["Effect"] not in ("Allow", "Deny"):
            raise UnsupportedPolicyError(f"effect {statement['Effect']}")
    return statements


def _applies(statement: Statement, request: Request) -> bool:
    actions = (action.lower() for action in as_list(statement["Action"]))
    return (
        any(_like(action, request.action.lower()) for action in actions)
        and any(_like(pattern, request.resource) for pattern in as_list(statement["Resource"]))
        and _holds(statement.get("Condition", {}), request.context)
    )


def _like(pattern: str, text: str) -> bool:
    """Match `*` and `?` as IAM does: across slashes and colons."""
    if "${" in pattern:
        raise UnsupportedPolicyError(f"a variable, {pattern}")
    wanted = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(wanted, text, re.DOTALL) is not None


def _names(principal: Any, who: str) -> bool:
    if principal == "*":
        return True
    for kind, names in principal.items():
        for name in as_list(names):
            if kind not in ("AWS", "Service") or name.endswith(":root") or name.isdigit():
                raise UnsupportedPolicyError(f"principal {kind}: {name}")
            if name in ("*", who):
                return True
    return False


# Each is asked about a key that the request has; of one that it has not, only Null and …IfExists are true.
OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "Bool": lambda wanted, found: wanted.lower() == found.lower(),
    "StringEquals": lambda wanted, found: wanted == found,
    "StringLike": _like,
}


def _holds(condition: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """Return whether every operator holds for every key that it names."""
    known = {key.lower(): value for key, value in context.items()}
    return all(
        _key_holds(operator, wanted, known.get(key.lower()))
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )


def _key_holds(operator: str, wanted: Any, found: str | None) -> bool:
    values = [str(value) for value in as_list(wanted)]
    if operator == "Null":
        return any((value.lower() == "true") == (found is None) for value in values)
    name = operator.removesuffix("IfExists")
    if name not in OPERATORS:
        raise UnsupportedPolicyError(f"operator {operator}")
    if found is None:
        return name != operator
    return any(OPERATORS[name](value, found) for value in values)
