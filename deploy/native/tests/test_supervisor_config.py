from configparser import RawConfigParser
from pathlib import Path

import pytest
from native_stack import supervisor_config
from native_stack.builds import SPARK
from native_stack.credentials import Credentials
from native_stack.errors import NativeError
from native_stack.program import Context, Program
from native_stack.programs import without_program_variables
from native_stack.services import IngestApi, S3Sink, StreamEtl
from native_stack.settings import NativeSettings
from supervisor.datatypes import dict_of_key_value_pairs


class Echo(Program):
    name = "echo"
    purpose = "says what it is told"

    def command(self) -> list[str]:
        return ["/bin/echo", "100%", "two words"]


class Once(Echo):
    name = "once"
    one_shot = True
    refusals = (3, 4)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    settings = NativeSettings.for_tests(tmp_path)
    return Context(settings, Credentials(settings.secret_dir))


def parsed(context: Context, *programs: Program) -> RawConfigParser:
    # As supervisord reads it.
    parser = RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    parser.read_string(supervisor_config.render(context.settings, programs))
    return parser


def variables(context: Context, program: Program) -> dict[str, str]:
    text = parsed(context, program)[f"program:{program.name}"]["environment"]
    return dict(dict_of_key_value_pairs(text.replace("%%", "%")))


def test_percent_signs_and_words_survive(context: Context) -> None:
    assert parsed(context, Echo(context))["program:echo"]["command"] == "/bin/echo 100%% 'two words'"


def test_servers_are_restarted_always_and_a_one_shot_unless_it_is_done_or_refuses(context: Context) -> None:
    config = parsed(context, Echo(context), Once(context))
    assert config["program:echo"]["autorestart"] == "true"
    assert config["program:once"]["autorestart"] == "unexpected"
    assert config["program:once"]["exitcodes"] == "0,3,4"


def test_nothing_starts_by_itself_and_groups_end_as_groups(context: Context) -> None:
    section = parsed(context, Echo(context))["program:echo"]
    assert section["autostart"] == "false"
    assert section["stopasgroup"] == section["killasgroup"] == "true"


def test_the_socket_is_its_owners(context: Context) -> None:
    assert parsed(context)["unix_http_server"]["chmod"] == "0600"


def test_services_are_told_where_everything_is(context: Context) -> None:
    settings = context.settings
    told = variables(context, S3Sink(context))
    assert told["SINK_KAFKA_BOOTSTRAP_SERVERS"] == f"127.0.0.1:{settings.kafka_port}"
    assert told["SINK_S3_ENDPOINT_URL"] == f"http://127.0.0.1:{settings.s3_port}"
    assert told["SINK_HTTP_PORT"] == str(settings.sink_port)
    assert Path(told["SINK_S3_SECRET_ACCESS_KEY_FILE"]).stat().st_mode & 0o777 == 0o600


def test_the_stream_is_told_where_its_jars_and_its_checkpoints_are(context: Context) -> None:
    stream = StreamEtl(context)
    stream.prepare()
    told = variables(context, stream)
    assert told["STREAM_HTTP_PORT"] == str(context.settings.stream_port)
    assert told["STREAM_KAFKA_BOOTSTRAP_SERVERS"] == f"127.0.0.1:{context.settings.kafka_port}"
    assert Path(told["STREAM_POSTGRES_DSN_FILE"]).stat().st_mode & 0o777 == 0o600
    assert told["STREAM_SPARK_JARS_DIR"] == str(SPARK.entry(context.settings.cache_dir))
    for name in ("STREAM_SPARK_LOCAL_DIR", "STREAM_CHECKPOINT_DIR"):
        assert Path(told[name]).is_dir()


def test_spark_gets_a_java_it_can_run_on_and_listens_on_loopback(context: Context) -> None:
    told = variables(context, StreamEtl(context))
    assert (Path(told["JAVA_HOME"]) / "bin" / "java").exists()
    assert told["SPARK_LOCAL_IP"] == "127.0.0.1"


def test_the_users_variables_win(context: Context) -> None:
    mine = Context(
        context.settings, context.credentials, overrides={"s3-sink": {"SINK_FLUSH_MAX_SECONDS": "60"}}
    )
    assert variables(mine, S3Sink(mine))["SINK_FLUSH_MAX_SECONDS"] == "60"
    assert "SINK_FLUSH_MAX_SECONDS" not in variables(mine, IngestApi(mine))


def test_a_secret_of_the_users_takes_the_place_of_the_stacks_file(context: Context) -> None:
    overrides = {"s3-sink": {"SINK_S3_SECRET_ACCESS_KEY": "mine"}}
    told = S3Sink(Context(context.settings, context.credentials, overrides=overrides)).environment()
    assert told["SINK_S3_SECRET_ACCESS_KEY"] == "mine"
    assert "SINK_S3_SECRET_ACCESS_KEY_FILE" not in told


def test_programs_hear_of_no_variable_that_happens_to_be_set() -> None:
    environment = {"PATH": "/bin", "SINK_FLUSH_MAX_SECONDS": "60", "MIGRATE_S3_BUCKET": "x"}
    assert without_program_variables(environment) == {"PATH": "/bin"}


@pytest.mark.parametrize("value", ['say "hi" to', "it's, a=b", "50%", "plain"])
def test_values_reach_the_program_as_they_are(context: Context, value: str) -> None:
    mine = Context(context.settings, context.credentials, overrides={"echo": {"X": value}})
    assert variables(mine, Echo(mine))["X"] == value


@pytest.mark.parametrize("value", ["a ; b", "a # b", "a\nb", "both ' and \" in", '"ends"'])
def test_values_supervisord_would_mangle_are_refused_by_name(context: Context, value: str) -> None:
    mine = Context(context.settings, context.credentials, overrides={"echo": {"X": value}})
    with pytest.raises(NativeError, match="the value of X"):
        supervisor_config.render(mine.settings, [Echo(mine)])


def test_a_changed_input_changes_the_configuration(context: Context) -> None:
    program = Echo(context)
    program.config_dir.mkdir(parents=True)
    (program.config_dir / "echo.conf").write_text("a")
    before = supervisor_config.render(context.settings, [program])
    assert supervisor_config.render(context.settings, [program]) == before
    (program.config_dir / "echo.conf").write_text("b")
    assert supervisor_config.render(context.settings, [program]) != before
