"""How the demo shows what it found."""

from collections.abc import Sequence

from rich.table import Table

from reconcile.demo.counts import Row


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


def _number(row: Row) -> str:
    return f"{row.found:,}"


def _verdict(row: Row) -> str:
    return "" if row.is_right else f"expected {row.expected:,}"


def _style(rows: Sequence[Row]) -> str | None:
    return None if all(row.is_right for row in rows) else "bold red"
