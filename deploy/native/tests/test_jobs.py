from pathlib import Path

import pytest
from native_stack import cli
from native_stack.errors import NativeError
from native_stack.invocation import Invocation
from native_stack.jobs import JOBS
from native_stack.programs import PROGRAMS
from native_stack.settings import NativeSettings
from native_stack.stack import Stack
from native_stack.supervisor import Supervisor
from typer.testing import CliRunner


@pytest.fixture
def settings(tmp_path: Path) -> NativeSettings:
    return NativeSettings.for_tests(tmp_path)


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a supervisor answered."""
    monkeypatch.setattr(Supervisor, "running", lambda _: True)


def test_a_job_is_nothing_that_up_starts() -> None:
    assert not {job.name for job in JOBS} & {program.name for program in PROGRAMS}


def test_a_job_of_a_stack_that_does_not_run_says_how_to_start_it(settings: NativeSettings) -> None:
    with pytest.raises(NativeError, match=r"batch-etl works on the stack, which does not run: .*`native up`"):
        Stack(settings).job("batch-etl", "run")


def test_a_job_that_does_not_exist_is_answered_with_those_that_do(settings: NativeSettings) -> None:
    with pytest.raises(NativeError, match="'kafka': choose among batch-etl"):
        Stack(settings).job("kafka")


@pytest.mark.usefixtures("running")
def test_a_job_gets_its_command_its_directories_and_its_variables(settings: NativeSettings) -> None:
    job = Stack(settings).job("batch-etl", "run", "--staging", "redis")
    assert Path(job.command[0]).name == "batch-etl"
    assert job.command[1:] == ["run", "--staging", "redis"]
    told = job.environment
    assert told["BATCH_S3_ACCESS_KEY_ID"] == "pinflow-batch"
    assert Path(told["BATCH_S3_SECRET_ACCESS_KEY_FILE"]).stat().st_mode & 0o777 == 0o600
    assert told["BATCH_CASSANDRA_PORT"] == str(settings.cassandra_port)
    assert told["BATCH_REDIS_URL"] == f"redis://127.0.0.1:{settings.redis_port}/0"
    assert Path(told["BATCH_SPARK_LOCAL_DIR"]).is_dir()
    assert (Path(told["JAVA_HOME"]) / "bin" / "java").exists()


@pytest.mark.usefixtures("running")
def test_a_job_hears_the_persons_own_variables_and_none_that_happen_to_be_set(
    settings: NativeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCH_SPARK_MASTER", "by accident")
    monkeypatch.setenv("SINK_S3_BUCKET", "by accident")
    assert Stack(settings).job("batch-etl").environment["BATCH_SPARK_MASTER"] == "local[2]"
    mine = Stack(settings, environment={"batch-etl": {"BATCH_SPARK_MASTER": "local[1]"}})
    told = mine.job("batch-etl").environment
    assert told["BATCH_SPARK_MASTER"] == "local[1]"
    assert "PATH" in told
    assert "SINK_S3_BUCKET" not in told


@pytest.mark.usefixtures("running")
def test_what_follows_a_jobs_name_is_the_jobs(
    settings: NativeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINFLOW_STATE_DIR", str(settings.state_dir))
    monkeypatch.setenv("BATCH_SPARK_MASTER", "local[1]")
    became: list[Invocation] = []

    def become(invocation: Invocation) -> None:
        became.append(invocation)

    monkeypatch.setattr(Invocation, "become", become)
    arguments = ["run", "--staging", "redis", "--help", "--", "-x"]
    assert CliRunner().invoke(cli.app, ["run", "batch-etl", *arguments]).exit_code == 0
    assert became[0].command[1:] == arguments
    assert became[0].environment["BATCH_SPARK_MASTER"] == "local[1]"


def test_env_prints_what_a_job_gets(settings: NativeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINFLOW_STATE_DIR", str(settings.state_dir))
    printed = CliRunner().invoke(cli.app, ["env", "batch-etl"]).stdout
    assert "BATCH_S3_ACCESS_KEY_ID=pinflow-batch\n" in printed
    assert "BATCH_HTTP_PORT" not in printed
