import json

import pytest
from pin_schema import wire
from pin_schema.raw import RawPin
from pin_schema.spark_types import RAW_PIN, RAW_RECORD, struct_of
from pin_schema.testing import local_spark
from pydantic import BaseModel
from pyspark.sql import functions as F  # noqa: N812 - the name every Spark programmer reads

UUID = "fbe53c66-3442-4773-b19e-d3ec6f54dddf"
# Fields of a pin in JSON, some written twice or oddly: the last duplicate wins in every reader.
ODD_BUT_VALID = [
    '"index":1,"index":2',
    '"index":1.5,"index":2',
    '"index":null,"index":2',
    '"index":"x","index":2',
    '"\\u0069ndex":1,"index":2',
    '"index":-0',
    '"index":9223372036854775807',
    '"index":1,"title":"a","title":null',
    '"index":1,"title":null,"title":"b"',
    '"index":1,"title":5,"title":"b"',
    '"index":1,"title":{"a":[1]},"title":"b","category":"c"',
    '"index":1,"downloaded":true,"downloaded":1',
    '"index":1,"downloaded":7.5,"downloaded":0,"category":"c"',
    '"index":1,"unknown":{"title":"inner","x":1,"x":2},"title":"outer"',
    '"index":1,"unknown":[1e308,-1.5E-3,[[]]],"title":"\\ud83d\\ude00 \\\\u0000 \\/ \\u00e9 é 🎄"',
    '"index":1,"title":"","description":"null"',
]


def test_spark_reads_the_same_pin_as_the_wire_whatever_is_written_twice() -> None:
    values = [f'{{{fields},"unique_id":"{UUID}"}}' for fields in ODD_BUT_VALID]
    pins = local_spark().createDataFrame([(value,) for value in values], "value string")
    read = pins.select(F.from_json("value", RAW_PIN).alias("pin")).select("pin.*").collect()
    for value, row in zip(values, read, strict=True):
        pin, _ = wire.decode(value.encode())
        assert row.asDict() == {name: getattr(pin, name) for name in RawPin.model_fields}, value


def test_a_record_is_a_pin_if_it_is_one_its_position_and_its_judgement() -> None:
    position = ["event_time", "source_log", "source_partition", "source_offset"]
    assert RAW_RECORD.names == [*RawPin.model_fields, *position, "value", "invalid"]
    assert [column.name for column in RAW_RECORD if not column.nullable] == position


def test_the_required_fields_are_the_columns_that_are_never_null() -> None:
    required = {name for name, field in RawPin.model_fields.items() if field.is_required()}
    assert {column.name for column in RAW_PIN if not column.nullable} == required


def test_a_type_without_a_spark_type_is_an_error_and_no_guess() -> None:
    class Strange(BaseModel):
        ratio: float

    with pytest.raises(TypeError, match="number"):
        struct_of(Strange)


def test_the_json_schema_is_plain_json() -> None:
    assert json.loads(json.dumps(RawPin.model_json_schema()))["required"] == ["index", "unique_id"]
