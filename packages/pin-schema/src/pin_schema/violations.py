"""What is wrong with a pin, said so that its sender can put it right."""

import json
from dataclasses import dataclass

_SHOWN_CHARACTERS = 80
_CUT_INTEGER = 10**20  # document.read keeps 21 digits of longer ones


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: the field (None: the whole value), its name, and what was found and is allowed."""

    field: str | None
    rule: str
    message: str


class InvalidPin(ValueError):  # noqa: N818 - a kind of pin to whoever counts them
    """Bytes that are no pin, with every violation found (20 at most, one a field, never empty)."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__("; ".join(f"{v.field or 'pin'}: {v.message}" for v in violations))
        self.violations = violations

    @property
    def reason(self) -> str:
        """The rule of the first violation: a short stable word for metrics and dead-letter headers."""
        return self.violations[0].rule


def shown(value: object) -> str:
    """A JSON value as a message may echo it: printable, 80 characters at most, containers by name only."""
    match value:
        case str():
            return repr(value[:_SHOWN_CHARACTERS])[:_SHOWN_CHARACTERS]
        case list():
            return "an array"
        case dict():
            return "an object"
        case int() if abs(value) >= _CUT_INTEGER:
            return f"{value}…"
        case _:
            return json.dumps(value)


def field_name(key: str) -> str:
    """A key as a violation names it: the key itself unless it is too long or not printable."""
    return key if key.isprintable() and len(key) <= _SHOWN_CHARACTERS else shown(key)
