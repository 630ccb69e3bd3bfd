"""The summary of a run on stdout: a table for people, one JSON object for machines."""

import json
from typing import Any

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
    # No table: at the width of a terminal it would cut keys, ids and hashes.
    print(f"batch-etl    {run.status}")  # noqa: T201
    for name, value in as_dict(run).items():
        if name != "status" and value not in ({}, None):
            print(f"{name:12} {_shown(value)}")  # noqa: T201


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return f"\n{'':13}".join(f"{name}: {_shown(item)}" for name, item in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
