"""How the demo shows what it found, and what to try next."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from native_stack.demo.counts import Row
from native_stack.settings import NativeSettings

PIN = '{"index": 1, "unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54dddf", "image_src": "https://a.b/c.jpg"}'
CQL = "SELECT title, poster_name, follower_count FROM pins WHERE category = 'art' LIMIT 5"
SQL = "SELECT * FROM pin_windows ORDER BY window_start DESC, pins DESC LIMIT 5"


def stages(rows: Sequence[Row]) -> Table:
    """The counts of the run, stage by stage; what is wrong is red."""
    table = Table("stage", "count", "", "what was counted", title="This run", title_justify="left")
    table.columns[1].justify = "right"
    for row in rows:
        table.add_row(row.stage, _number(row), _verdict(row), row.meaning, style=_style([row]))
    return table


def categories(rows: Sequence[Row]) -> Table:
    """Distinct pins by category: the reference, and what each store holds."""
    stores = list(dict.fromkeys(row.meaning for row in rows))
    table = Table("category", "reference", *stores, title="Distinct pins by category", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for name in dict.fromkeys(row.stage for row in rows):
        found = [row for row in rows if row.stage == name]
        table.add_row(name, f"{found[0].expected:,}", *map(_number, found), style=_style(found))
    return table


def where_next(settings: NativeSettings) -> str:
    """What to look at and to try, to be copied line by line."""
    ready = " ".join(
        f"http://127.0.0.1:{port}/health/ready"
        for port in (settings.ingest_port, settings.sink_port, settings.stream_port)
    )
    places: Mapping[str, str] = {
        "post a pin": f"curl -d '{PIN}' -H 'Content-Type: application/json' {settings.ingest_url}/pin/",
        "what ingest-api takes": f"{settings.ingest_url}/docs",
        "is it ready, and if not why": ready,
        "the catalogue": f'make cql Q="{CQL}"',
        "the live windows": f'make sql Q="{SQL}"',
        "load what is new": "make etl",
        "more traffic": ".venv/bin/pin-emulator stream --rate 50",
        "what runs, what it says, the end": "make status · make logs P=s3-sink · make down",
    }
    width = max(map(len, places))
    return "\n".join(f"{what:<{width}}  {where}" for what, where in places.items())


def _number(row: Row) -> str:
    return f"{row.found:,}"


def _verdict(row: Row) -> str:
    return "" if row.is_right else f"expected {row.expected:,}"


def _style(rows: Sequence[Row]) -> str | None:
    return None if all(row.is_right for row in rows) else "bold red"
