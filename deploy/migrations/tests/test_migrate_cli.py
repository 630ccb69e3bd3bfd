import asyncio
import socket
import sys

import pytest
from migrations import cli, postgres
from migrations.cli import Step
from migrations.errors import (
    MigrationError,
    MissingSettingError,
    RefusedError,
    StoreNotAtomicError,
    WaitedTooLongError,
)
from migrations.progress import Plan, until_it_answers
from migrations.settings import MigrateSettings


def nobody_listens() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["migrate", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_every_reason_to_stop_has_an_exit_code_of_its_own() -> None:
    kinds: list[type[MigrationError]] = [
        RefusedError,
        StoreNotAtomicError,
        WaitedTooLongError,
        MissingSettingError,
    ]
    codes = {kind.exit_code for kind in kinds}
    assert len(codes) == len(kinds)
    assert not codes & {0, 1, 2}


def test_waiting_ends_when_time_is_up_and_says_what_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = nobody_listens()
    monkeypatch.setenv("MIGRATE_KAFKA_BOOTSTRAP_SERVERS", address)
    assert run_main(monkeypatch, "kafka", "--timeout-seconds", "0.5") == WaitedTooLongError.exit_code
    lines = capsys.readouterr().out
    assert f'message="waiting for Kafka" address={address}' in lines
    assert "not done after 0.5 s: kafka" in lines


def test_a_store_that_is_away_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"ENDPOINT_URL": f"http://{nobody_listens()}", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}
    for name, value in (told | {"SINK_PRINCIPAL": "sink", "SINK_SECRET": "c"}).items():
        monkeypatch.setenv(f"MIGRATE_S3_{name}", value)
    assert run_main(monkeypatch, "bucket", "--timeout-seconds", "3") == WaitedTooLongError.exit_code
    assert 'message="waiting for the object store"' in capsys.readouterr().out


def test_a_secret_without_the_name_of_its_account_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIGRATE_S3_SINK_SECRET", "c")
    assert run_main(monkeypatch, "bucket") == MissingSettingError.exit_code
    assert "MIGRATE_S3_SINK_PRINCIPAL" in capsys.readouterr().out


def test_an_account_that_nobody_logs_in_to_make_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIGRATE_KAFKA_SINK_PASSWORD", "c")
    assert run_main(monkeypatch, "kafka") == MissingSettingError.exit_code
    assert "MIGRATE_KAFKA_SINK_PASSWORD: accounts are made by one who logs in" in capsys.readouterr().err


def test_postgres_without_a_dsn_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MIGRATE_POSTGRES_DSN", raising=False)
    assert run_main(monkeypatch, "postgres") == MissingSettingError.exit_code
    assert "MIGRATE_POSTGRES_DSN" in capsys.readouterr().out


async def test_a_reason_is_said_once_while_it_stays_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrations.progress.RETRY_SECONDS", 0.0)
    said: list[object] = []
    monkeypatch.setattr("migrations.progress.log.info", lambda *_, because, **__: said.append(because))
    errors = iter([OSError("down"), OSError("down"), OSError("starting"), None])

    async def attempt() -> str:
        error = next(errors)
        if error:
            raise error
        return "here"

    assert await until_it_answers("a server", "somewhere", attempt, (OSError,)) == "here"
    assert said == ["OSError: down", "OSError: starting"]


async def test_a_refusal_calls_off_the_steps_that_still_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait_for_ever(_settings: MigrateSettings, _plan: Plan) -> None:
        await asyncio.Event().wait()

    monkeypatch.setitem(cli.RUN, Step.KAFKA, (wait_for_ever,))
    monkeypatch.setitem(cli.RUN, Step.POSTGRES, (postgres.migrate,))
    monkeypatch.delenv("MIGRATE_POSTGRES_DSN", raising=False)
    with pytest.raises(MissingSettingError):
        await cli.run([Step.KAFKA, Step.POSTGRES], MigrateSettings(), Plan(dry_run=False), None)
