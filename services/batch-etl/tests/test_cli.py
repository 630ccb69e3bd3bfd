"""The command line: what it teaches, and what it refuses."""

import json

import pytest
from batch_etl.cli import app
from batch_etl.exits import Exit
from batch_etl.metrics import BatchMetrics
from batch_etl.outcome import Run
from batch_etl.summary import as_dict, print_summary
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner


def test_help_names_every_exit_code() -> None:
    text = CliRunner().invoke(app, ["run", "--help"]).output
    for code in Exit:
        assert str(int(code)) in text
    assert "78" in text


def test_a_range_that_ends_before_it_begins_is_wrong_usage() -> None:
    result = CliRunner().invoke(app, ["run", "--date", "2026-03-02", "--until", "2026-03-01"])
    assert result.exit_code == 2


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_WAIT_SECONDS", "soon")
    result = CliRunner().invoke(app, ["run"])
    assert result.exit_code == 78
    assert "BATCH_WAIT_SECONDS" in result.stderr


def test_the_summary_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run("redis", set_aside={"a key": "why"}, exit=Exit.SET_ASIDE)
    print_summary(run, as_json=True)
    assert json.loads(capsys.readouterr().out) == as_dict(run)
    assert as_dict(run)["status"] == "set_aside"


def test_people_read_what_was_set_aside(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(Run("none", set_aside={"[a] key": "why"}), as_json=False)
    assert "[a] key: why" in capsys.readouterr().out


def test_no_key_is_cut_however_narrow_the_terminal_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    key = "raw/pins/dt=2026-03-01/hr=12/p=00/00000000000000000000.ndjson.zst"
    run = Run("none", set_aside={key: f"sha256 is {'e' * 64}"})
    print_summary(run, as_json=False)
    printed = capsys.readouterr().out
    assert f"{key}: sha256 is {'e' * 64}\n" in printed
    assert f"{run.run_id}\n" in printed


@pytest.mark.parametrize(("code", "told"), [(Exit.NOTHING_TO_DO, 5.0), (Exit.RETRY, None)])
def test_a_failed_run_does_not_touch_the_last_success(code: Exit, told: float | None) -> None:
    registry = CollectorRegistry()
    BatchMetrics(registry).tell(Run("none", exit=code), now=5.0)
    assert registry.get_sample_value("pinflow_batch_last_success_timestamp_seconds") == told
    assert registry.get_sample_value("pinflow_batch_exit_code") == code
