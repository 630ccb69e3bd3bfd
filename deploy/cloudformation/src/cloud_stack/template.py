"""The template: its parameters, and what of it outlives the stack."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from cloud_stack.errors import StackError

HERE = Path(__file__).resolve().parents[2]
PATH = HERE / "template.yaml"


class _Loader(yaml.SafeLoader):
    """Reads YAML whose tags are functions of CloudFormation, and leaves those out."""


_Loader.add_multi_constructor("!", lambda *_: None)


def read(text: str) -> dict[str, Any]:
    """Return a template without its functions."""
    return dict(yaml.load(text, Loader=_Loader))  # noqa: S506, a safe loader


def values(told: Sequence[str], by_option: Mapping[str, str]) -> dict[str, str]:
    """Return values by name, those of options too; raise StackError where the template would refuse one."""
    known = read(PATH.read_text())["Parameters"]
    found = dict(by_option)
    for text in told:
        name, equals, value = text.partition("=")
        if not equals or name not in known.keys() - by_option.keys():
            names = ", ".join(name for name in known if name not in by_option)
            raise StackError(f"--parameter {text} is not Name=Value of one of these: {names}")
        found[name] = value
    for name, value in found.items():
        if wanted := _misfit(known[name], value):
            raise StackError(f"{name}={value} does not fit, it has to be {wanted}")
    return found


def _misfit(parameter: Mapping[str, Any], value: str) -> str | None:
    """Return what a value would have to be, if it is not."""
    allowed = [str(item) for item in parameter.get("AllowedValues", [value])]
    if value not in allowed:
        return f"one of {', '.join(allowed)}"
    if not re.fullmatch(parameter.get("AllowedPattern", ".*"), value):
        return str(parameter.get("ConstraintDescription", parameter["AllowedPattern"]))
    if parameter["Type"] == "Number":
        least, most = parameter.get("MinValue", 0), parameter.get("MaxValue", float("inf"))
        if not value.isdecimal() or not least <= int(value) <= most:
            return f"a number from {least} to {most}"
    return None
