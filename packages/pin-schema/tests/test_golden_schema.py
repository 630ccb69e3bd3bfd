"""What other programs rely on, as files: a change shows in the review. UPDATE_GOLDEN=1 writes them anew."""

import json
import os
from pathlib import Path

from pin_schema import wire
from pin_schema.clean import CleanPin
from pin_schema.raw import RawPin
from pin_schema.spark_types import CLEAN_PIN, RAW_PIN
from pin_schema.testing import local_spark
from pydantic import BaseModel

GOLDEN = Path(__file__).with_name("golden")


def schema(model: type[BaseModel]) -> str:
    return json.dumps(model.model_json_schema(), indent=2, ensure_ascii=False)


def wire_example() -> str:
    examples = {name: field.examples[-1] for name, field in RawPin.model_fields.items() if field.examples}
    return wire.encode(wire.WirePin(**examples)).decode()


def golden() -> dict[str, str]:
    local_spark()  # toDDL asks a running Spark
    return {
        "raw_pin.schema.json": schema(RawPin),
        "clean_pin.schema.json": schema(CleanPin),
        "raw_pin.ddl": RAW_PIN.toDDL().replace(",", ",\n"),
        "clean_pin.ddl": CLEAN_PIN.toDDL().replace(",", ",\n"),
        "wire_example.json": wire_example(),
    }


def test_nothing_that_others_rely_on_changed_unseen() -> None:
    if os.environ.get("UPDATE_GOLDEN") == "1":
        for name, content in golden().items():
            (GOLDEN / name).write_text(content + "\n")
    recorded = {path.name: path.read_text().removesuffix("\n") for path in GOLDEN.iterdir()}
    assert recorded == golden(), "if it is meant: make update-golden"


def test_the_wire_example_is_a_pin() -> None:
    pin, unknown = wire.decode((GOLDEN / "wire_example.json").read_bytes())
    assert unknown == 0
    assert None not in [getattr(pin, name) for name in RawPin.model_fields]
