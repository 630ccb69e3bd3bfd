from pathlib import Path

import pytest
from migrations.errors import MissingSettingError, RefusedError, StoreNotAtomicError
from native_stack.builds import CASSANDRA, KAFKA
from native_stack.credentials import Credentials
from native_stack.errors import NativeError
from native_stack.program import Context
from native_stack.programs import ALL, MIGRATE_REFUSALS, PROGRAMS, Migrate, by_name
from native_stack.servers.cassandra import Cassandra
from native_stack.servers.kafka import Kafka
from native_stack.servers.postgres import dsn_file
from native_stack.servers.redis import Redis
from native_stack.settings import NativeSettings


@pytest.fixture
def context(tmp_path: Path) -> Context:
    settings = NativeSettings.for_tests(tmp_path)
    return Context(settings, Credentials(settings.secret_dir))


def with_programs(context: Context, *names: str) -> Context:
    return Context(context.settings, context.credentials, frozenset(names))


def test_names_are_unique_and_every_port_is_a_setting() -> None:
    assert len({program.name for program in ALL}) == len(ALL)
    ports = [port for program in ALL for port in program.ports]
    assert sorted(ports) == sorted(name for name in NativeSettings.model_fields if name.endswith("_port"))


def test_an_unknown_program_is_answered_with_those_that_exist() -> None:
    with pytest.raises(NativeError, match="no program 'kafak': choose among kafka, s3"):
        by_name("kafak")


def test_kafka_listens_on_loopback_and_creates_no_topic_by_accident(context: Context) -> None:
    kafka = Kafka(context)
    lib_dir = KAFKA.entry(context.settings.cache_dir)
    kafka.render_config("server.properties", "log4j2.properties", "jvm.options", lib_dir=lib_dir)
    lines = (kafka.config_dir / "server.properties").read_text().splitlines()
    port, controller = context.settings.kafka_port, context.settings.kafka_controller_port
    assert f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}" in lines
    assert "auto.create.topics.enable=false" in lines
    assert "-Xmx512m" in (kafka.config_dir / "jvm.options").read_text().splitlines()


def test_cassandra_dies_with_its_disk_and_is_configured_for_its_ports(context: Context) -> None:
    cassandra = Cassandra(context)
    lib_dir = CASSANDRA.entry(context.settings.cache_dir)
    cassandra.render_config("cassandra.yaml", "logback.xml", "jvm.options", lib_dir=lib_dir)
    lines = (cassandra.config_dir / "cassandra.yaml").read_text().splitlines()
    assert "disk_failure_policy: die" in lines
    assert "commit_failure_policy: die" in lines
    assert f"native_transport_port: {context.settings.cassandra_port}" in lines
    options = (cassandra.config_dir / "jvm.options").read_text()
    assert f"-Dcassandra.config=file://{cassandra.config_dir}/cassandra.yaml" in options
    assert f"-Dcassandra.jmx.local.port={context.settings.cassandra_jmx_port}" in options


def test_an_old_configuration_file_does_not_stay(context: Context) -> None:
    redis = Redis(context)
    redis.config_dir.mkdir(parents=True)
    (redis.config_dir / "old.conf").touch()
    redis.prepare()
    assert [path.name for path in redis.inputs()] == ["redis.conf"]


def test_a_template_that_wants_more_is_named(context: Context) -> None:
    with pytest.raises(ValueError, match=r"template jvm\.options: 'lib_dir'"):
        Kafka(context).render_config("jvm.options")


def test_migrate_runs_the_steps_of_the_servers_that_are_there(context: Context) -> None:
    some = with_programs(context, "s3", "kafka", "migrate")
    assert Migrate(some).command()[-2:] == ["kafka", "bucket"]
    everything = with_programs(context, *(program.name for program in PROGRAMS))
    assert Migrate(everything).command()[-1] == "all"


def test_migrate_alone_is_refused(context: Context) -> None:
    with pytest.raises(NativeError, match="together with one of kafka, s3, cassandra, postgres"):
        Migrate(with_programs(context, "migrate", "redis")).command()


def test_a_refusing_migration_is_not_tried_again() -> None:
    errors = (RefusedError, StoreNotAtomicError, MissingSettingError)
    assert sorted(MIGRATE_REFUSALS) == sorted(error.exit_code for error in errors)


def test_migrate_makes_the_accounts_of_the_sink_and_of_the_batch_job(context: Context) -> None:
    migrate = Migrate(with_programs(context, "s3", "migrate"))
    told = migrate.environment()
    assert told["MIGRATE_S3_SINK_PRINCIPAL"] == "pinflow-sink"
    assert told["MIGRATE_S3_BATCH_PRINCIPAL"] == "pinflow-batch"
    assert told["MIGRATE_S3_SINK_SECRET_FILE"] == str(context.credentials.s3_sink_secret_file)
    assert told["MIGRATE_S3_BATCH_SECRET_FILE"] == str(context.credentials.s3_batch_secret_file)


def test_no_secret_is_on_a_command_line(context: Context) -> None:
    secrets = [path.read_text() for path in (context.credentials.s3_root_secret_file, dsn_file(context))]
    for program in PROGRAMS:
        command = " ".join(program(with_programs(context, "s3", "migrate")).command())
        assert not any(secret in command for secret in secrets)


def test_secrets_are_made_once_and_stay_private(context: Context) -> None:
    first = context.credentials.s3_root_secret_file.read_text()
    assert len(first) >= 32
    assert context.credentials.s3_root_secret_file.read_text() == first
    assert context.credentials.s3_sink_secret_file.read_text() != first
    assert context.credentials.s3_root_secret_file.stat().st_mode & 0o777 == 0o600
