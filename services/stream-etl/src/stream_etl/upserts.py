"""The statements that write a batch's tables: arrays in, each row once, whatever stands there already."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

# No tag holds a comma: tags are what lies between the commas of what was posted.
TAG_SEPARATOR = ","
_KEEP = "DO NOTHING"


@dataclass(frozen=True)
class Upsert:
    """How the rows of one table are written; `columns` are the array types that `unnest` takes."""

    table: str
    columns: dict[str, str]
    on_conflict: str
    only: str = ""

    @cached_property
    def statement(self) -> str:
        """The statement; its parameters are one array a column."""
        names = ", ".join(self.columns)
        values = ", ".join(_value(name, kind) for name, kind in self.columns.items())
        arrays = ", ".join(
            f"${number}::{_element(kind)}[]" for number, kind in enumerate(self.columns.values(), 1)
        )
        return (
            f"INSERT INTO {self.table} AS old ({names}) "  # noqa: S608 - names of our own
            f"SELECT {values} FROM unnest({arrays}) AS new ({names}) {self.only} "
            f"ON CONFLICT {self.on_conflict}"
        )

    def arguments(self, rows: pa.Table) -> list[list[Any]]:
        """The rows as the statement's parameters."""
        return [_joined(rows[name].to_pylist(), kind) for name, kind in self.columns.items()]


def _element(kind: str) -> str:
    return kind.removesuffix("[]")


def _value(name: str, kind: str) -> str:
    # `unnest` would flatten arrays inside an array: lists travel as joined text.
    return f"string_to_array({name}, '{TAG_SEPARATOR}')" if kind.endswith("[]") else name


def _joined(values: list[Any], kind: str) -> list[Any]:
    if not kind.endswith("[]"):
        return values
    return [None if value is None else TAG_SEPARATOR.join(value) for value in values]


def _set(*assignments: str) -> str:
    return f"DO UPDATE SET {', '.join(assignments)}"


_PIN = {
    "unique_id": "uuid",
    "idx": "bigint",
    "title": "text",
    "poster_name": "text",
    "category": "text",
    "follower_count": "bigint",
    "description": "text",
    "image_src": "text",
    "is_image_or_video": "text",
    "tag_list": "text[]",
    "downloaded": "boolean",
    "save_location": "text",
    "event_time": "timestamptz",
    "source_partition": "integer",
    "source_offset": "bigint",
}
_POSITION = {"source_partition": "integer", "source_offset": "bigint", "event_time": "timestamptz"}
_COUNTS = ("pins", "posters", "images", "videos", "max_follower_count")
_VERSION = "{0}.event_time, {0}.source_offset, {0}.source_partition"

UPSERTS = {
    upsert.table: upsert
    for upsert in (
        Upsert(
            "pins",
            _PIN,
            f"(unique_id) {_set(*(f'{name} = EXCLUDED.{name}' for name in _PIN if name != 'unique_id'))} "
            f"WHERE ({_VERSION.format('EXCLUDED')}) > ({_VERSION.format('old')})",
        ),
        Upsert("rejected_pins", _POSITION | {"unique_id": "uuid", "reason": "text", "raw": "text"}, _KEEP),
        Upsert(
            "late_pins",
            _POSITION | {"window_start": "timestamptz", "category": "text", "unique_id": "uuid"},
            _KEEP,
        ),
        # A window only grows: what reads it again, or from a later start, never makes it smaller.
        Upsert(
            "pin_windows",
            {"window_start": "timestamptz", "window_end": "timestamptz", "category": "text"}
            | dict.fromkeys(_COUNTS, "bigint"),
            "(window_start, md5(category)) "
            + _set(*(f"{count} = GREATEST(old.{count}, EXCLUDED.{count})" for count in _COUNTS)),
        ),
        Upsert(
            "poster_sessions",
            {
                "poster_name": "text",
                "session_start": "timestamptz",
                "session_end": "timestamptz",
                "pins": "bigint",
            },
            "(md5(poster_name), session_start) "
            + _set(*(f"{name} = GREATEST(old.{name}, EXCLUDED.{name})" for name in ("session_end", "pins"))),
            # Sessions of a poster never overlap: the tail of a known one is what a new start has read again.
            only="WHERE NOT EXISTS (SELECT FROM poster_sessions AS known "
            "WHERE md5(known.poster_name) = md5(new.poster_name) "
            "AND known.session_start < new.session_start AND known.session_end > new.session_start)",
        ),
        Upsert(
            "stream_positions",
            {"query_id": "uuid"} | _POSITION,
            "(query_id, source_partition) "
            + _set("source_offset = EXCLUDED.source_offset", "event_time = EXCLUDED.event_time"),
        ),
    )
}
