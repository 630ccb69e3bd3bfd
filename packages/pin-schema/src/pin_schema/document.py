"""The rules of a whole JSON document, unknown fields included: what passes, every JSON reader can read."""

import json
import math
import re
from collections.abc import Iterator, Mapping

from pin_schema.nesting import MAX_DEPTH, TooDeepError, check_depth
from pin_schema.violations import InvalidPin, Violation, field_name, shown

_INT64 = range(-(2**63), 2**63)
# An int64 has 20 characters at most and JSON forbids leading zeros, so more characters mean more than int64.
# Python refuses to parse more than 4300 digits with a bare ValueError.
_DECISIVE_DIGITS = 21
_SURROGATE = re.compile("[\ud800-\udfff]")

Pairs = list[tuple[str, object]]


class DuplicateKeys(dict[str, object]):
    """An object as its readers see it (the last duplicate wins) that still knows every pair written."""

    def __init__(self, written: Pairs) -> None:
        super().__init__(written)
        self.written = written


def read(value: bytes) -> dict[str, object]:
    """The JSON object in `value`, the last duplicate of a key winning; raises InvalidPin if there is none."""
    try:
        check_depth(value)
        document = json.loads(
            value.decode(),
            parse_int=lambda digits: int(digits[:_DECISIVE_DIGITS]),
            object_pairs_hook=_object,
        )
    except TooDeepError as error:
        field = None if error.field is None else field_name(error.field)
        raise InvalidPin((Violation(field, "too_deep", f"{error}; no more are allowed"),)) from error
    except UnicodeDecodeError as error:
        raise _unreadable("not_utf8", f"byte {error.start} is not UTF-8; a pin is UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise _unreadable("not_json", f"{error}; a pin is one JSON object") from error
    if not isinstance(document, dict):
        raise _unreadable("not_an_object", f"found {shown(document)}; a pin is a JSON object")
    return document


def violations(document: Mapping[str, object]) -> Iterator[Violation]:
    """The first broken document rule of each field, overwritten duplicates included."""
    for key, value in _pairs(document):
        fault = _text_fault(key) or _fault(value)
        if fault:
            yield Violation(field_name(key), *fault)


def _object(pairs: Pairs) -> dict[str, object]:
    plain = dict(pairs)
    return plain if len(plain) == len(pairs) else DuplicateKeys(pairs)


def _pairs(node: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    return iter(node.written if isinstance(node, DuplicateKeys) else node.items())


def _unreadable(rule: str, message: str) -> InvalidPin:
    return InvalidPin((Violation(None, rule, message),))


def _fault(value: object) -> tuple[str, str] | None:
    """The rule and message of a fault in a field's value. A loop: recursion would cost a frame a level."""
    if not isinstance(value, list | dict):
        return _scalar_fault(value)
    todo: list[tuple[object, int]] = [(value, 2)]
    while todo:
        node, level = todo.pop()
        if isinstance(node, list | dict):
            if level > MAX_DEPTH:
                return "too_deep", f"nested {level} levels deep; at most {MAX_DEPTH} are allowed"
            todo += [(child, level + 1) for child in _children(node)]
        elif fault := _scalar_fault(node):
            return fault
    return None


def _children(node: list[object] | dict[str, object]) -> Iterator[object]:
    if isinstance(node, list):
        yield from node
    else:
        for pair in _pairs(node):
            yield from pair


def _scalar_fault(node: object) -> tuple[str, str] | None:
    if isinstance(node, str):
        return _text_fault(node)
    if isinstance(node, int) and node not in _INT64:
        return "out_of_range", f"found the integer {shown(node)}; integers must fit 64 bits, signed"
    if isinstance(node, float) and not math.isfinite(node):
        return "not_finite", f"found {shown(node)}; numbers must be finite and fit a double"
    return None


def _text_fault(text: str) -> tuple[str, str] | None:
    if "\0" in text:
        return "nul_character", f"NUL at character {text.index(chr(0))}; any other character is allowed"
    if not text.isascii() and (found := _SURROGATE.search(text)):
        return "lone_surrogate", f"half a surrogate pair at character {found.start()}; pairs are allowed"
    return None
