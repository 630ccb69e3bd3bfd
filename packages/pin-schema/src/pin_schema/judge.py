"""The exact judge of a pin's bytes: slow, complete, and the only source of violations."""

from collections.abc import Iterator
from itertools import islice

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pin_schema import document
from pin_schema.raw import MAX_PIN_BYTES, MAX_TEXT_BYTES, RawPin
from pin_schema.violations import InvalidPin, Violation, shown

_MAX_VIOLATIONS = 20
_ALLOWED = {
    "index": "an integer from 0 to 9223372036854775807",
    "unique_id": "a UUID written as 8-4-4-4-12 hexadecimal digits",
    "downloaded": "0, 1 or null",
}
_ALLOWED_TEXT = f"text of at most {MAX_TEXT_BYTES} bytes of UTF-8, or null"
_RULES = {
    "int_type": "wrong_type",
    "string_type": "wrong_type",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "string_too_long": "too_long",
}
_NOT_A_UUID = {"string_pattern_mismatch", "string_too_short", "string_too_long"}


def judge(value: bytes) -> RawPin:
    """The pin in `value`; raises InvalidPin with every violation."""
    if len(value) > MAX_PIN_BYTES:
        message = f"{len(value)} bytes; a pin has at most {MAX_PIN_BYTES}"
        raise InvalidPin((Violation(None, "too_large", message),))
    written = document.read(value)
    broken = list(islice(document.violations(written), _MAX_VIOLATIONS))
    try:
        pin = RawPin.model_validate(written)
    except ValidationError as error:
        broken += map(_violation, _located(error))
    if broken:
        raise InvalidPin(_first_of_each_field(broken))
    return pin


def _first_of_each_field(broken: list[Violation]) -> tuple[Violation, ...]:
    first: dict[str | None, Violation] = {}
    for violation in broken:
        first.setdefault(violation.field, violation)
    return tuple(first.values())[:_MAX_VIOLATIONS]


def _located(error: ValidationError) -> Iterator[ErrorDetails]:
    # An error without a location is a document rule's, which `document.violations` tells with its field.
    return (detail for detail in error.errors(include_url=False) if detail["loc"])


def _violation(detail: ErrorDetails) -> Violation:
    field, kind = str(detail["loc"][0]), detail["type"]
    rule = "not_a_uuid" if field == "unique_id" and kind in _NOT_A_UUID else _RULES.get(kind, kind)
    allowed = _ALLOWED.get(field, _ALLOWED_TEXT)
    if rule == "missing":
        return Violation(field, rule, f"not there; must be {allowed}")
    if rule == "too_long":
        return Violation(field, rule, f"{len(detail['input'].encode())} bytes; must be {allowed}")
    return Violation(field, rule, f"found {shown(detail['input'])}; must be {allowed}")
