"""Our own rules of the template: what scanners miss."""

# Importing a module enters its rules.
from cloud.rules import access, archive, database, form, host, network, secrets, watching
from cloud.rules.registry import RULES, complaints

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
