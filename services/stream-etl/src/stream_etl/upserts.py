"""The statements that merge a staged batch into its tables: each row once, whatever stands there already."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from stream_etl.batch import TABLES_OF_RECORDS
from stream_etl.late import IS_LATE, WINDOW_START

OF_BATCH = "query_id = $1::uuid AND batch_id = $2::bigint AND attempt = ANY($3::uuid[])"
"The rows that a merge takes: the batch's, as the attempts that Spark has reported staged them."
OF_RECORDS = f"table_name IN {TABLES_OF_RECORDS}"
"Those of them that stand for a record of the topic."
_STAGED = f"SELECT * FROM stream_staging WHERE {OF_BATCH}"  # noqa: S608 - our own names
_LEAD = "(extract(epoch FROM event_time) * 1000000)::bigint - source_offset"
# The rule is that of `pin_schema.versions`. A new log goes on above what older ones have reached.
_NUMBERED = f"""
SELECT records.*, source_offset + GREATEST(
    max({_LEAD}) OVER (PARTITION BY source_partition ORDER BY source_offset),
    own_lead,
    greatest_of_others + 1 - min(source_offset) OVER (PARTITION BY source_partition)) AS version
FROM ({_STAGED} AND {OF_RECORDS}) AS records LEFT JOIN (
    SELECT source_partition, max(lead) FILTER (WHERE query_id = $1::uuid) AS own_lead,
        max(source_offset + lead) FILTER (WHERE source_log <> (
            SELECT max(source_log) FROM stream_staging WHERE {OF_BATCH} AND {OF_RECORDS}
        )) AS greatest_of_others
    FROM stream_positions GROUP BY source_partition
) AS before USING (source_partition)
"""  # noqa: S608 - our own names
_KEEP = "DO NOTHING"
_STAGED_PINS = "table_name = 'pins'"


@dataclass(frozen=True)
class Upsert:
    """How the rows of one table are merged; `columns` are the table's, with their types."""

    table: str
    columns: dict[str, str]
    on_conflict: str
    only: str
    "Which staged rows they are made of."
    newest: str = ""
    "Their order, the key first: of each key the first row is taken. Empty: the keys differ."
    values: Mapping[str, str] = field(default_factory=dict)
    "How a column is made that is not staged."
    source: str = _STAGED
    "The staged rows of the batch, of which `only` takes some."

    @cached_property
    def statement(self) -> str:
        """The statement, whose parameters are those of OF_BATCH; it returns how many rows it has merged."""
        names = ", ".join(self.columns)
        values = ", ".join(f"{self.values.get(name, name)} AS {name}" for name in self.columns)
        first, order = "", ""
        if self.newest:
            first, order = f"DISTINCT ON ({self.newest.partition(',')[0]}) ", f" ORDER BY {self.newest}"
        return (
            f"WITH new AS ({self.source}), "  # noqa: S608 - our own names
            f"merged AS (SELECT {first}{values} FROM new WHERE {self.only}{order}), "
            f"written AS (INSERT INTO {self.table} AS old ({names}) SELECT {names} FROM merged "
            f"ON CONFLICT {self.on_conflict}) SELECT count(*) FROM merged"
        )


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
    "source_log": "text",
    "source_partition": "integer",
    "source_offset": "bigint",
    "version": "bigint",
}
_POSITION = {
    "source_log": "text",
    "source_partition": "integer",
    "source_offset": "bigint",
    "event_time": "timestamptz",
}
_COUNTS = ("pins", "posters", "images", "videos", "max_follower_count")
# The partition decides only between records written before and after the topic got more partitions.
_VERSION = "{0}.version, {0}.source_partition"

UPSERTS = {
    upsert.table: upsert
    for upsert in (
        Upsert(
            "pins",
            _PIN,
            f"(unique_id) {_set(*(f'{name} = EXCLUDED.{name}' for name in _PIN if name != 'unique_id'))} "
            f"WHERE ({_VERSION.format('EXCLUDED')}) > ({_VERSION.format('old')})",
            only=_STAGED_PINS,
            newest="unique_id, version DESC, source_partition DESC",
            source=_NUMBERED,
        ),
        Upsert(
            "rejected_pins",
            _POSITION | {"unique_id": "uuid", "reason": "text", "raw": "text"},
            _KEEP,
            only="table_name = 'rejected_pins'",
        ),
        Upsert(
            "late_pins",
            _POSITION | {"window_start": "timestamptz", "category": "text", "unique_id": "uuid"},
            _KEEP,
            only=f"{_STAGED_PINS} AND {IS_LATE}",
            values={"window_start": WINDOW_START},
        ),
        # A window only grows: what reads it again, or from a later start, never makes it smaller.
        Upsert(
            "pin_windows",
            {"window_start": "timestamptz", "window_end": "timestamptz", "category": "text"}
            | dict.fromkeys(_COUNTS, "bigint"),
            "(window_start, md5(category)) "
            + _set(*(f"{count} = GREATEST(old.{count}, EXCLUDED.{count})" for count in _COUNTS)),
            only="table_name = 'pin_windows'",
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
            only="table_name = 'poster_sessions' AND NOT EXISTS (SELECT FROM poster_sessions AS known "
            "WHERE md5(known.poster_name) = md5(new.poster_name) "
            "AND known.session_start < new.session_start AND known.session_end > new.session_start)",
        ),
        Upsert(
            "stream_positions",
            {"query_id": "uuid"} | _POSITION | {"lead": "bigint"},
            "(query_id, source_partition) "
            + _set(
                *(f"{name} = EXCLUDED.{name}" for name in (*_POSITION, "lead") if name != "source_partition")
            ),
            only=OF_RECORDS,
            newest="source_partition, source_offset DESC",
            values={"lead": "version - source_offset"},
            source=_NUMBERED,
        ),
    )
}
