"""The summary of a run on stdout: a table for people, one JSON object for machines."""

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from batch_etl.outcome import Run


def as_dict(run: Run) -> dict[str, Any]:
    """Everything a run tells, in JSON's types."""
    account = run.account
    told = {
        "run_id": str(run.run_id),
        "status": run.status,
        "exit_code": int(run.exit),
        "staging": run.staging,
        "planned": dict(run.planned),
        "objects": len(account.objects),
        "read": account.read,
        "clean": account.clean,
        "duplicate": account.duplicate,
        "rejected": account.rejected,
        "set_aside": run.set_aside,
        "stages_lost": run.stages_lost,
        "seconds": run.seconds,
    }
    return told | ({"error": run.error} if run.error else {})


def print_summary(run: Run, *, as_json: bool) -> None:
    """Print the summary of a run."""
    if as_json:
        print(json.dumps(as_dict(run), ensure_ascii=False))  # noqa: T201
        return
    table = Table("batch-etl", run.status, show_edge=False, title_justify="left")
    for name, value in as_dict(run).items():
        if name != "status" and value not in ({}, None):
            table.add_row(name, _shown(value))
    Console(soft_wrap=False).print(table, markup=False)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name}: {_shown(item)}" for name, item in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
