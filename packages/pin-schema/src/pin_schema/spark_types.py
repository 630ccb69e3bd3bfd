"""Spark types of the pins, derived from the pydantic models (extra `spark`)."""

from typing import Any

from pydantic import BaseModel
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from pin_schema.clean import CleanPin
from pin_schema.raw import RawPin

_INT32_MAX = 2**31 - 1
_POSITION = ("event_time", "source_log", "source_partition", "source_offset")


def struct_of(model: type[BaseModel]) -> StructType:
    """The model's fields as columns, in order; null is allowed where the model allows it."""
    properties = model.model_json_schema()["properties"]
    return StructType([_column(name, schema) for name, schema in properties.items()])


def _column(name: str, schema: dict[str, Any]) -> StructField:
    match schema:
        case {"anyOf": [known, {"type": "null"}]}:
            return StructField(name, _data_type(known), nullable=True)
    return StructField(name, _data_type(schema), nullable=False)


def _data_type(schema: dict[str, Any]) -> DataType:
    match schema:
        case {"type": "integer", "maximum": int(maximum)}:
            return IntegerType() if maximum <= _INT32_MAX else LongType()
        case {"type": "string", "format": "date-time"}:
            return TimestampType()
        case {"type": "string"}:
            return StringType()
        case {"type": "boolean"}:
            return BooleanType()
        case {"type": "array", "items": items}:
            return ArrayType(_data_type(items), containsNull=False)
    raise TypeError(f"no Spark type is known for {schema}: add it here")


RAW_PIN = struct_of(RawPin)
CLEAN_PIN = struct_of(CleanPin)
_POSITION_COLUMNS = [CLEAN_PIN[name] for name in _POSITION]
# What is no pin has no fields: of a record only its position is always there.
_PIN_IF_ANY = [StructField(column.name, column.dataType) for column in RAW_PIN]
_JUDGEMENT = [StructField("value", StringType()), StructField("invalid", StringType())]
RAW_RECORD = StructType([*_PIN_IF_ANY, *_POSITION_COLUMNS, *_JUDGEMENT])
