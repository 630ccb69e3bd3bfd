"""Passwords: generated, and never written into a template or typed into a form."""

import re
from collections.abc import Iterator
from typing import Any

from template.body import View
from template.rules.registry import Complaint, rule

SECRET = re.compile(r"passw|secret|token|credential", re.IGNORECASE)
PASSWORD = re.compile(r"(Password|SecretString|AuthToken)$")
REFERENCE = "{{resolve:secretsmanager:"
SHORTEST = 32


@rule("A default is in the repository, and so the password of every stack.")
def no_parameter_has_a_password_by_default(view: View) -> Iterator[Complaint]:
    for name, parameter in view.body["Parameters"].items():
        if "Default" in parameter and (SECRET.search(name) or parameter.get("NoEcho")):
            yield Complaint(name, "has a default: let Secrets Manager generate it")


def _passwords(node: Any) -> Iterator[Any]:
    """Return the value of every property that is a password's."""
    if isinstance(node, dict):
        for key, value in node.items():
            if PASSWORD.search(key) and key != "GenerateSecretString":
                yield value
            else:
                yield from _passwords(value)
    elif isinstance(node, list):
        for item in node:
            yield from _passwords(item)


@rule("A literal password is read by whoever reads the template, and a parameter by whoever types it.")
def passwords_are_references(view: View) -> Iterator[Complaint]:
    for name, resource in view.body["Resources"].items():
        for password in _passwords(view.resolve(resource.get("Properties", {}))):
            if not str(password).startswith(REFERENCE):
                yield Complaint(name, f"a password is no reference: write {REFERENCE}…}}}}")


@rule("What a person thinks of is guessed; what Secrets Manager draws is not.")
def secrets_are_generated(view: View) -> Iterator[Complaint]:
    for name, secret in view.of("AWS::SecretsManager::Secret"):
        if secret.get("GenerateSecretString", {}).get("PasswordLength", 0) < SHORTEST:
            yield Complaint(name, f"is not generated, or shorter than {SHORTEST}: GenerateSecretString")
