from typing import Any

import pytest
from pin_schema.raw import RawPin
from pydantic import ValidationError

PIN: dict[str, Any] = {"index": 0, "unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54dddf"}


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"index": 2**63 - 1},
        {"unique_id": "FBE53C66-3442-4773-B19E-D3EC6F54DDDF"},
        {"title": None, "downloaded": None},
        {"title": "é" * 8192},
        {"downloaded": 0},
        {"anything": {"a": [1.5, None, True, -(2**63)]}, "": ""},
        {"deep": nested(63)},
    ],
)
def test_accepted(fields: dict[str, Any]) -> None:
    pin = RawPin.model_validate(PIN | fields)
    assert PIN | fields == pin.model_dump(exclude_unset=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"index": -1},
        {"index": 2**63},
        {"index": True},
        {"index": 1.0},
        {"index": "1"},
        {"index": None},
        {"unique_id": None},
        {"unique_id": "fbe53c66344247 73b19ed3ec6f54dddf"},
        {"unique_id": "{fbe53c66-3442-4773-b19e-d3ec6f54dddf}"},
        {"unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54dddf\n"},
        {"unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54ddd٣"},
        {"title": "é" * 8193},
        {"title": 5},
        {"title": "\0"},
        {"title": "\ud800"},
        {"downloaded": True},
        {"downloaded": 2},
        {"downloaded": "1"},
        {"x": "a\0b"},
        {"x": {"\0": 1}},
        {"x\0": 1},
        {"x": ["\udfff"]},
        {"\ud800": 1},
        {"x": 2**63},
        {"x": [-(2**63) - 1]},
        {"x": float("nan")},
        {"x": {"y": float("inf")}},
        {"x": nested(64)},
    ],
)
def test_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RawPin.model_validate(PIN | fields)


@pytest.mark.parametrize("field", PIN)
def test_index_and_unique_id_are_required(field: str) -> None:
    with pytest.raises(ValidationError):
        RawPin.model_validate({name: value for name, value in PIN.items() if name != field})


def test_every_field_has_a_description_and_a_valid_example_for_the_api_documentation() -> None:
    for name, field in RawPin.model_fields.items():
        assert field.description, name
        assert field.examples, name
        for example in field.examples:
            RawPin.model_validate(PIN | {name: example})
