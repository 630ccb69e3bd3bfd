"""Records of the topic as rows for Spark, each judged by the rules of the wire (extra `spark`)."""

import logging
from collections.abc import Iterable, Sequence

import msgspec
import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema

from pin_schema.spark_types import RAW_PIN, RAW_RECORD
from pin_schema.wire import NO_VALUE, InvalidPin, decode

ARROW_RECORD = to_arrow_schema(RAW_RECORD, timezone="UTC")
UNREADABLE = "unreadable"
"The reason of a record that broke its reader in a way nobody foresaw."
_NO_PIN = (None,) * len(RAW_PIN)


def judged(
    log: str,
    event_times: pa.Array,
    partitions: pa.Array,
    offsets: pa.Array,
    values: Sequence[bytes | None],
) -> pa.RecordBatch:
    """Columns of RAW_RECORD for records of one log whose positions and values are given side by side.

    `value` is the record's own text, with U+FFFD in place of NULs and of what is no UTF-8. `invalid` is null
    for a pin, else the rule that the record breaks: the word that its dead letter carries as `reason`.
    """
    judgements = [_judge(value) for value in values]
    pins = zip(*(pin for pin, _ in judgements), strict=True) if judgements else [()] * len(RAW_PIN)
    columns: Iterable[pa.Array | Sequence[object]] = [
        *pins,
        event_times,
        pa.repeat(log, len(values)),
        partitions,
        offsets,
        [_text(value) for value in values],
        [fault for _, fault in judgements],
    ]
    fields = zip(columns, ARROW_RECORD, strict=True)
    return pa.RecordBatch.from_arrays(
        [_typed(column, field.type) for column, field in fields], schema=ARROW_RECORD
    )


def _judge(value: bytes | None) -> tuple[tuple[object, ...], str | None]:
    if value is None:
        return _NO_PIN, NO_VALUE
    try:
        pin, _ = decode(value)
    except InvalidPin as fault:
        return _NO_PIN, fault.reason
    except MemoryError:
        raise
    except Exception:
        # It would break every try: the records beside it go on.
        logging.getLogger(__name__).exception("a record of %d bytes broke its reader", len(value))
        return _NO_PIN, UNREADABLE
    return msgspec.structs.astuple(pin), None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace").replace("\0", "\ufffd")


def _typed(column: pa.Array | Sequence[object], kind: pa.DataType) -> pa.Array:
    return column.cast(kind) if isinstance(column, pa.Array) else pa.array(column, kind)
