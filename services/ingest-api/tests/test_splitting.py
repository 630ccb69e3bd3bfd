"""A body becomes its pins window by window, exactly as if it were read at once."""

import json
import random
from collections.abc import Callable

import msgspec
import pytest
from ingest_api.bodies import JSON, NDJSON
from ingest_api.problems import Problem
from ingest_api.splitting import MAX_WINDOW_BYTES, WINDOW_BYTES, pins_of

# What looks like a border between pins and is none, among what is.
PARTS: list[object] = [
    "},{", '"},{"', "\\", "[", "Ёлка ®", "x" * 500, 1, -2.5e300, None, True,
    [], {}, [{}, {}], [[1], [2]], {"a": {"b": []}},
]  # fmt: skip


def split(body: bytes, kind: str = JSON, max_pins: int = 100_000) -> list[bytes]:
    return [pin for pins in pins_of(bytearray(body), kind, max_pins) for pin in pins]


def some_pins(seed: int) -> list[dict[str, object]]:
    chance = random.Random(seed)
    return [{str(n): chance.choice(PARTS) for n in range(chance.randrange(8))} for _ in range(3000)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "written",
    [
        json.dumps,
        lambda pins: json.dumps(pins, separators=(",", ":"), ensure_ascii=False),
        lambda pins: json.dumps(pins, indent=1) + " \n",
        lambda pins: json.dumps(pins, separators=(" ,", " : ")),
    ],
    ids=["as requests does", "compact", "pretty", "odd"],
)
def test_an_array_is_split_where_its_elements_end(seed: int, written: Callable[[object], str]) -> None:
    body = written(some_pins(seed)).encode()
    assert len(body) > 4 * WINDOW_BYTES
    complete = msgspec.json.decode(body, type=list[msgspec.Raw])
    assert split(body) == [bytes(element) for element in complete]


@pytest.mark.parametrize("seed", range(3))
def test_lines_are_pins(seed: int) -> None:
    lines = [json.dumps(pin).encode() for pin in some_pins(seed)]
    lines[7] = b'{"x": "%s"}' % (b"x" * 3 * WINDOW_BYTES)
    assert split(b"\n".join(lines), NDJSON) == lines
    assert split(b"\r\n \n".join(lines) + b"\n", NDJSON) == [line + b"\r" for line in lines[:-1]] + lines[-1:]


MANY = b",".join([b'{"a": 1}'] * 20_000)


@pytest.mark.parametrize(
    "body",
    [
        b"[" + MANY + b",]",
        b"[" + MANY,
        b"[" + MANY + b"]]",
        b"[" + MANY + b',{"a" 1},' + MANY + b"]",
        b"[," + MANY + b"]",
        b"[" + MANY + b',{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}," + MANY + b"]",
        b"[" + MANY + b',{"a": "' + b"x" * 2 * MAX_WINDOW_BYTES + b'"},' + MANY + b"]",
        b'{"a": [' + MANY + b"]}",
        b"[" + b" " * 2 * MAX_WINDOW_BYTES + b"]",
    ],
    ids=["comma", "open", "shut twice", "no colon", "no pin", "deep", "long", "an object", "blank"],
)
def test_what_is_no_array_of_pins_is_refused(body: bytes) -> None:
    with pytest.raises(Problem) as refused:
        split(body)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("body", "kind"), [(b"[" + b"1," * 4_000_000 + b"1]", JSON), (b"1\n" * 4_000_000, NDJSON)]
)
def test_a_body_of_crumbs_is_refused_after_a_window(body: bytes, kind: str) -> None:
    windows = pins_of(bytearray(body), kind, 10_000)
    with pytest.raises(Problem) as refused:
        assert len(next(windows)) <= WINDOW_BYTES
    assert refused.value.status == 413
