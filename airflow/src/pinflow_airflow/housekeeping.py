"""Deletes what is older than a month from Airflow's database and its logs (P6)."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pinflow_airflow.migrate import airflow
from pinflow_airflow.runtime import RUNTIME

KEPT = timedelta(days=30)
LOGS = Path("/var/log/airflow")


def main() -> None:
    """Delete; end with the exit code of Airflow's command line when it fails."""
    before = datetime.now(UTC) - KEPT
    old = ["--clean-before-timestamp", before.isoformat(), "--skip-archive", "--yes"]
    # Its first good run opened the other DAGs, whenever that was.
    airflow("db", "clean", *old, "--exclude-dag-ids", RUNTIME)
    print(f"deleted {old_logs(LOGS, before.timestamp())} log files", file=sys.stderr)  # noqa: T201


def old_logs(folder: Path, before: float) -> int:
    """Delete files last written before that time, and directories left empty; return how many files."""
    deleted = 0
    # Children first.
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.stat().st_mtime < before:
            path.unlink()
            deleted += 1
        elif path.is_dir() and path.stat().st_mtime < before and not any(path.iterdir()):
            path.rmdir()
    return deleted


if __name__ == "__main__":
    main()
