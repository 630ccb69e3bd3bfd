"""What is a month old is deleted from the logs, and nothing else."""

import os
from pathlib import Path

import pytest
from pinflow_airflow import housekeeping
from pinflow_airflow.housekeeping import old_logs
from pinflow_airflow.runtime import RUNTIME

NOW = 1_800_000_000.0


def written(path: Path, at: float) -> Path:
    """Make a file that was written then, in a directory of that time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a line")
    os.utime(path, (at, at))
    os.utime(path.parent, (at, at))
    return path


def test_old_files_go_with_their_directories_and_new_ones_stay(tmp_path: Path) -> None:
    old = written(tmp_path / "dag_id=a/run_id=1/attempt=1.log", NOW - 100)
    new = written(tmp_path / "dag_id=a/run_id=2/attempt=1.log", NOW)
    assert old_logs(tmp_path, NOW - 50) == 1
    assert not old.exists()
    assert new.exists()


def test_the_runs_that_open_the_other_dags_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(housekeeping, "airflow", lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(housekeeping, "LOGS", tmp_path)
    housekeeping.main()
    ((*_, option, kept),) = asked
    assert (option, kept) == ("--exclude-dag-ids", RUNTIME)
