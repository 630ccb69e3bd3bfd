import json
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pin_schema.judge import judge
from pin_schema.raw import RawPin
from pin_schema.wire import (
    MAX_PIN_BYTES,
    MAX_TEXT_BYTES,
    InvalidPin,
    WirePin,
    decode,
    encode,
    one_line,
    partition_key,
)

UUID = "fbe53c66-3442-4773-b19e-d3ec6f54dddf"
PIN = WirePin(index=7, unique_id=UUID)


def pin(fields: str = "", index: str = "7", unique_id: str = f'"{UUID}"') -> bytes:
    """A pin's bytes with more `fields` in JSON."""
    return f'{{"index":{index},"unique_id":{unique_id}{fields and ","}{fields}}}'.encode()


def rules(value: bytes) -> list[tuple[str | None, str]]:
    with pytest.raises(InvalidPin) as caught:
        decode(value)
    return [(violation.field, violation.rule) for violation in caught.value.violations]


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"\xef\xbb\xbf" + pin(), "not_json"),
        (pin() + b"{}", "not_json"),
        (pin('"title":"a\x01"'), "not_json"),
        (pin('"title":"a\x00"'), "not_json"),
        (pin(index="01"), "not_json"),
        (b"\xff", "not_utf8"),
        (pin('"title":"?"').replace(b"?", b"\xed\xa0\x80"), "not_utf8"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b"NaN", "not_an_object"),
        (b"1" * 5000, "not_an_object"),
        (b" " * (MAX_PIN_BYTES + 1 - len(pin())) + pin(), "too_large"),
        (b"[" * 60_000, "too_deep"),
    ],
)
def test_what_is_no_json_object_breaks_one_rule_as_a_whole(value: bytes, rule: str) -> None:
    assert rules(value) == [(None, rule)]


@pytest.mark.parametrize(
    ("value", "violation"),
    [
        (b'{"index":7}', ("unique_id", "missing")),
        (pin(index="-1"), ("index", "out_of_range")),
        (pin(index="9223372036854775808"), ("index", "out_of_range")),
        (pin(index="9" * 5000), ("index", "out_of_range")),
        (pin(index="true"), ("index", "wrong_type")),
        (pin(index="1.0"), ("index", "wrong_type")),
        (pin(index="1e2"), ("index", "wrong_type")),
        (pin(index="null"), ("index", "wrong_type")),
        (pin(index='"7"'), ("index", "wrong_type")),
        (pin(index="NaN"), ("index", "not_finite")),
        (pin(unique_id="5"), ("unique_id", "wrong_type")),
        (pin(unique_id='"5"'), ("unique_id", "not_a_uuid")),
        (pin(unique_id=f'"{UUID}\\n"'), ("unique_id", "not_a_uuid")),
        (pin(unique_id=f'"{UUID.replace("-", "")}"'), ("unique_id", "not_a_uuid")),
        (pin('"downloaded":false'), ("downloaded", "wrong_type")),
        (pin('"downloaded":2'), ("downloaded", "out_of_range")),
        (pin('"title":["a"]'), ("title", "wrong_type")),
        (pin(f'"title":"{"й" * 8193}"'), ("title", "too_long")),
        (pin(f'"title":"{"a" * 16385}"'), ("title", "too_long")),
        (pin('"title":"\\u0000"'), ("title", "nul_character")),
        (pin('"title":"\\u0000","title":"fine"'), ("title", "nul_character")),
        (pin('"title":"\\ude00\\ud83d"'), ("title", "lone_surrogate")),
        (pin('"x":{"a":["\\u0000"]}'), ("x", "nul_character")),
        (pin('"x":{"\\ud800":1}'), ("x", "lone_surrogate")),
        (pin('"x":-9223372036854775809'), ("x", "out_of_range")),
        (pin('"x":[1e999]'), ("x", "not_finite")),
        (pin('"x":-Infinity,"x":1'), ("x", "not_finite")),
        (pin(f'"x":{"[" * 64}{"]" * 64}'), ("x", "too_deep")),
    ],
)
def test_a_broken_rule_is_named_with_its_field(value: bytes, violation: tuple[str, str]) -> None:
    assert rules(value) == [violation]


def test_every_violation_is_told_one_a_field() -> None:
    value = pin('"title":5,"downloaded":7,"x":"\\u0000","x":NaN', index="-1", unique_id="null")
    assert sorted(rules(value)) == [
        ("downloaded", "out_of_range"),
        ("index", "out_of_range"),
        ("title", "wrong_type"),
        ("unique_id", "wrong_type"),
        ("x", "nul_character"),
    ]


def test_at_most_twenty_violations_are_told() -> None:
    assert len(rules(pin(",".join(f'"x{n}":NaN' for n in range(50))))) == 20


def test_a_violation_echoes_little_of_the_input_and_is_printable() -> None:
    value = pin(f'"{"k" * 5000}":NaN,"\\ud800\\n":1,"title":[{"1," * 5000}1]', index=f'"{"й" * 5000}"')
    with pytest.raises(InvalidPin) as caught:
        decode(value)
    assert len(caught.value.violations) > 1
    for violation in caught.value.violations:
        assert len(violation.message) < 200
        assert len(violation.field or "") <= 80
        assert f"{violation.field}{violation.message}".isprintable()


def test_the_reason_is_the_first_rule() -> None:
    with pytest.raises(InvalidPin) as caught:
        decode(b"no")
    assert caught.value.reason == "not_json"


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        (pin(), (PIN, 0)),
        (b" \r\n\t" + pin() + b"\n", (PIN, 0)),
        (pin('"title":null'), (PIN, 0)),
        (pin('"x":1,"x":2,"y":{}'), (PIN, 2)),
        (pin('"index":1.5,"index":7'), (PIN, 0)),
        (pin('"title":5,"title":null'), (PIN, 0)),
        (pin(index="-0"), (msgspec.structs.replace(PIN, index=0), 0)),
        (pin('"title":"\\\\u0000"'), (msgspec.structs.replace(PIN, title="\\u0000"), 0)),
        (pin('"title":"\\ud83d\\ude00\x7f"'), (msgspec.structs.replace(PIN, title="😀\x7f"), 0)),
        (pin(f'"title":"{"й" * 8192}"'), (msgspec.structs.replace(PIN, title="й" * 8192), 0)),
        (pin('"title":"' + "\\u0439" * 8192 + '"'), (msgspec.structs.replace(PIN, title="й" * 8192), 0)),
        (pin(f'"x":{"[" * 63}{"]" * 63}'), (PIN, 1)),
        (b" " * (MAX_PIN_BYTES - len(pin())) + pin(), (PIN, 0)),
    ],
)
def test_odd_but_valid_pins_are_accepted(value: bytes, accepted: tuple[WirePin, int]) -> None:
    assert decode(value) == accepted


TEXTS = st.text(max_size=20)
VALID = {
    "index": st.integers(0, 2**63 - 1),
    "unique_id": st.uuids().map(str) | st.uuids().map(lambda uuid: str(uuid).upper()),
    "downloaded": st.sampled_from([0, 1, None]),
}
FIELDS = {name: VALID.get(name, TEXTS | st.none()) for name in RawPin.model_fields}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
# fmt: off
ODD_TOKENS = st.sampled_from([
    '"\\u0000"', '"\\ud800"', '"\\ude00\\ud83d"', '"\\ud83d\\ude00"', '"\\\\u0000"', '"a\x00"', '"\x1f"',
    "NaN", "-Infinity", "1e999", "-0", "0.0", "1e2", "01", "true", "tru", "{}", "[", '"', '"\\x"',
    "9" * 20, "9" * 5000, "9223372036854775807", "9223372036854775808",
    "[" * 70 + "]" * 70, "[" * 1500, '{"a":' * 66 + "1" + "}" * 66,
    f'"{"й" * 8192}"', f'"{"й" * 8193}"', f'"{UUID}\\n"', f'"{UUID.replace("-", "")}"',
])
# fmt: on


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """A pin's JSON text with odd values, unknown and duplicate fields, then perhaps damaged."""
    ascii_only = draw(st.booleans())
    written = {name: draw(strategy) for name, strategy in FIELDS.items()}
    pairs = [
        (json.dumps(name), json.dumps(value, ensure_ascii=ascii_only)) for name, value in written.items()
    ]
    keys = st.sampled_from([json.dumps(name) for name in FIELDS]) | TEXTS.map(json.dumps)
    values = ODD_TOKENS | JSON.map(json.dumps)
    pairs += draw(st.lists(st.tuples(keys, values), max_size=2))
    space = draw(st.sampled_from(["", " ", "\r\n"]))
    text = (
        "{" + f",{space}".join(f"{key}:{space}{value}" for key, value in draw(st.permutations(pairs))) + "}"
    )
    value = text.encode(errors="surrogatepass")
    start, stop = sorted(draw(st.tuples(*[st.integers(0, len(value))] * 2)))
    damage = draw(
        st.sampled_from([None, None, None, b"", b"\x00", b"\xff", b"\\u0000", b'"', b"\xed\xa0\x80"])
    )
    return value if damage is None else value[:start] + damage + value[draw(st.sampled_from([start, stop])) :]


def exactly(value: bytes) -> tuple[WirePin, int]:
    """What decode must return, by the exact judge alone."""
    raw = judge(value)
    return WirePin(**{name: getattr(raw, name) for name in FIELDS}), len(raw.model_extra or {})


def outcome(read: Callable[[bytes], tuple[WirePin, int]], value: bytes) -> object:
    """The pin and its unknown fields, or the violations; any other exception is a bug."""
    try:
        return read(value)
    except InvalidPin as error:
        return error.violations or pytest.fail("refused without a reason")


@settings(max_examples=1500, derandomize=True, database=None, deadline=None)
@example(value=pin())
@example(value=pin('"title":"a","title":"b"'))
@given(value=documents() | st.binary(max_size=40))
def test_the_fast_path_accepts_nothing_and_reads_nothing_that_the_exact_judge_would_not(value: bytes) -> None:
    assert outcome(decode, value) == outcome(exactly, value)


@settings(max_examples=500, derandomize=True, database=None, deadline=None)
@given(value=documents())
def test_an_accepted_pin_is_one_line_that_another_json_reader_reads_alike(value: bytes) -> None:
    try:
        accepted, unknown = decode(value)
    except InvalidPin:
        return
    line = one_line(value)
    assert len(line.splitlines()) == 1
    read = msgspec.json.decode(line)
    assert {name: read.pop(name, None) for name in FIELDS} == msgspec.structs.asdict(accepted)
    assert len(read) == unknown
    assert decode(encode(accepted)) == (accepted, 0)


def test_a_line_without_breaks_is_not_copied() -> None:
    value = pin()
    assert one_line(value) is value
    assert one_line(b'{"a":\r\n1}\n') == b'{"a":  1} '


def test_every_spelling_of_a_unique_id_has_one_partition_key() -> None:
    assert partition_key(WirePin(index=1, unique_id=UUID.upper())) == partition_key(PIN) == UUID.encode()


def test_the_wire_has_the_fields_of_the_contract_in_its_order() -> None:
    assert WirePin.__struct_fields__ == tuple(RawPin.model_fields)
    assert MAX_TEXT_BYTES < MAX_PIN_BYTES
