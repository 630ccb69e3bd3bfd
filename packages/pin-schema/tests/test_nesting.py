"""One limit of nesting for every reader, whatever the stack of its caller."""

import sys
from collections.abc import Callable
from typing import TypeVar

import pytest
from pin_schema.archive import ArchivedRecord, decode_line, encode_line, is_json
from pin_schema.nesting import MAX_DEPTH, TooDeepError, check_depth
from pin_schema.wire import MAX_PIN_BYTES, InvalidPin, decode

T = TypeVar("T")
pytestmark = pytest.mark.must(15, 29)

DEPTHS = [1, 63, 64, 65, 66, 300, *range(900, 1005, 4), 1_500, 30_000, 100_000]
ID = b'"index":1,"unique_id":"fbe53c66-3442-4773-b19e-d3ec6f54dddf"'


def nested(depth: int) -> bytes:
    return b"[" * depth + b"1" + b"]" * depth


def pin(depth: int) -> bytes:
    """A pin that nests so deep, itself being the first level."""
    return b'{%b,"x":%b}' % (ID, nested(depth - 1))


def far_down(call: Callable[[], T], frames: int) -> T:
    return call() if frames == 0 else far_down(call, frames - 1)


def reason(value: bytes) -> str | None:
    try:
        decode(value)
    except InvalidPin as fault:
        return fault.reason
    return None


@pytest.mark.parametrize("frames", [0, sys.getrecursionlimit() - 300])
@pytest.mark.parametrize("depth", DEPTHS)
def test_every_reader_answers_by_the_depth_alone(depth: int, frames: int) -> None:
    value = pin(depth)
    expected = "too_large" if len(value) > MAX_PIN_BYTES else "too_deep" if depth > MAX_DEPTH else None
    assert far_down(lambda: reason(value), frames) == expected
    assert far_down(lambda: is_json(value), frames) == (depth <= MAX_DEPTH)
    written = ArchivedRecord(2, 5, 7, b',"pin":', value, 9)
    for plain in (value, None):
        line = encode_line(written, 2, 9, plain)
        assert far_down(lambda line=line: decode_line(line), frames) == written  # type: ignore[misc]


@pytest.mark.parametrize("depth", [65, 984, 20_000])
def test_the_field_is_named_at_any_depth(depth: int) -> None:
    with pytest.raises(InvalidPin) as caught:
        decode(b'{"a":"[","\\"":%b}' % nested(depth))
    (violation,) = caught.value.violations
    assert (violation.field, violation.rule) == ('"', "too_deep")
    with pytest.raises(InvalidPin) as caught:
        decode(nested(depth))
    assert [(violation.field, violation.rule) for violation in caught.value.violations] == [
        (None, "too_deep")
    ]


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":"' + b"[" * 100 + b'"}',
        b'{"a":"' + b"[" * 100,
        b'{"a":"\\"' + b"{" * 100 + b'\\\\"}',
        b"[" + b"[1]," * 100 + b"1]",
        b"[" * MAX_DEPTH,
        b"",
    ],
)
def test_brackets_in_strings_and_side_by_side_are_not_depth(text: bytes) -> None:
    check_depth(text)


def test_text_that_never_closes_is_too_deep_as_well() -> None:
    with pytest.raises(TooDeepError):
        check_depth(b"[" * (MAX_DEPTH + 1))
