from collections.abc import Callable
from pathlib import Path

import pytest
from native_stack import shells
from native_stack.errors import NativeError
from native_stack.invocation import Invocation
from native_stack.settings import NativeSettings
from native_stack.stack import Stack

Shell = Callable[[Stack, str | None], Invocation]


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(NativeSettings.for_tests(tmp_path))


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the servers ran."""
    monkeypatch.setattr(Stack, "pid_of", lambda *_: 1)


@pytest.mark.parametrize(("shell", "server"), [(shells.cql, "cassandra"), (shells.sql, "postgres")])
def test_a_shell_without_its_server_says_how_to_start_it(stack: Stack, shell: Shell, server: str) -> None:
    with pytest.raises(NativeError, match=f"{server} does not run: start it with `native up"):
        shell(stack, None)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("shell", "option"), [(shells.cql, "--execute"), (shells.sql, "--command")])
def test_a_statement_is_one_argument_and_without_it_the_shell_is_interactive(
    stack: Stack, shell: Shell, option: str
) -> None:
    assert shell(stack, "SELECT 'a b' FROM pins").command[-2:] == [option, "SELECT 'a b' FROM pins"]
    assert option not in shell(stack, None).command


def test_a_tool_that_kafka_has_not_is_refused_with_those_it_has(stack: Stack) -> None:
    with pytest.raises(NativeError, match="are topics, consumer-groups, console-consumer, not 'topic'"):
        shells.kafka(stack, "topic", [])


@pytest.mark.usefixtures("running")
def test_the_password_is_in_no_argument(stack: Stack) -> None:
    shell = shells.sql(stack, None)
    assert shell.environment["PGPASSWORD"] == stack.credentials.postgres_password_file.read_text()
    assert not any(shell.environment["PGPASSWORD"] in argument for argument in shell.command)


@pytest.mark.usefixtures("running")
def test_histories_are_kept_in_the_state_and_not_at_home(stack: Stack) -> None:
    assert Path(shells.cql(stack, None).environment["HOME"]).is_relative_to(stack.settings.state_dir)
    history = Path(shells.sql(stack, None).environment["PSQL_HISTORY"])
    assert history.is_relative_to(stack.settings.state_dir)
    assert history.parent.is_dir()
