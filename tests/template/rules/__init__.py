"""Our own rules of the template: what scanners miss."""

# Importing a module enters its rules.
from template.rules import access, archive, database, form, host, network, secrets, watching
from template.rules.registry import RULES, complaints

__all__ = [
    "RULES",
    "access",
    "archive",
    "complaints",
    "database",
    "form",
    "host",
    "network",
    "secrets",
    "watching",
]
