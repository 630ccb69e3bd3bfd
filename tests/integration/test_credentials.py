"""Servers that want a login: who may do what, what is said of a refusal, what a second run changes."""

import asyncio
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg
import psutil
import pytest
from aiokafka import TopicPartition
from cassandra import InvalidRequest, Unauthorized
from confluent_kafka.admin import AclBinding, AdminClient
from fresh_database import fresh_database
from migrations import cassandra_accounts, cli
from migrations.cli import Step
from migrations.errors import RefusedError
from migrations.kafka_accounts import admin_options, wanted_accounts
from migrations.progress import Plan
from migrations.settings import MigrateSettings
from native_stack import builds
from native_stack.clients import live_dsn
from native_stack.credentials import S3_ROOT_KEY_ID
from native_stack.program import Context, NotReady, Program
from native_stack.servers.cassandra import Cassandra
from native_stack.servers.kafka import Kafka
from native_stack.servers.postgres import Postgres, dsn_file
from native_stack.settings import NativeSettings
from native_stack.stack import Stack
from pydantic import PostgresDsn, SecretStr
from reconcile.errors import DemoError
from reconcile.offsets import OffsetRange
from reconcile.topic import read_topic
from service_runtime.broker import BrokerUnavailable, LoginRefused
from service_runtime.cassandra import LoginRefused as CassandraLoginRefused
from service_runtime.cassandra import cassandra_session
from service_runtime.kafka import log_in
from service_runtime.kafka_consumer import KafkaGroupConsumer
from service_runtime.kafka_producer import KafkaProducer
from service_runtime.s3 import s3_client
from service_runtime.settings import CassandraSettings, KafkaSettings

pytestmark = pytest.mark.must(17)

ADMIN_PASSWORD = "admin-password"
# What a JAAS configuration, CQL and SQL each have a meaning of their own for.
AWKWARD = r"""it's a "quoted\ password;"""
# Who administers a managed PostgreSQL: RDS gives its master user these rights.
MASTER = """
CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD 'master';
GRANT pg_monitor TO master WITH ADMIN OPTION;
ALTER DATABASE pinflow OWNER TO master;
"""
READY_WITHIN_SECONDS = 120.0
# Spark's first batch, with all that Spark can say.
WRITTEN_WITHIN_SECONDS = 150.0
PREFIXES = {"ingest-api": "INGEST", "s3-sink": "SINK", "stream-etl": "STREAM"}


class SecureKafka(Kafka):
    """The stack's broker, with SCRAM for clients and an authorizer."""

    def prepare(self) -> None:
        lib_dir = builds.KAFKA.entry(self.settings.cache_dir)
        self.render_config("server.properties", "log4j2.properties", "jvm.options", lib_dir=lib_dir)
        login = (
            "org.apache.kafka.common.security.scram.ScramLoginModule required "
            f'username="pinflow-admin" password="{ADMIN_PASSWORD}";'
        )
        secure = {
            "listeners": f"CLIENTS://{self.address},CONTROLLER://127.0.0.1:{self.settings.kafka_controller_port}",
            "listener.security.protocol.map": "CLIENTS:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENTS",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            "listener.name.clients.scram-sha-512.sasl.jaas.config": login,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:pinflow-admin;User:ANONYMOUS",
        }
        properties = self.config_dir / "server.properties"
        with properties.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in secure.items())
        self.data_dir.mkdir(parents=True)
        user = f"SCRAM-SHA-512=[name=pinflow-admin,password={ADMIN_PASSWORD}]"
        tool = ["kafka.tools.StorageTool", "format", "--cluster-id=MkU3OEVBNTcwNTJENDM2Qg"]
        command = [*self._java(), *tool, "-c", str(properties), "--add-scram", user]
        subprocess.run(command, check=True, capture_output=True)

    def probe(self) -> None:
        # The stack's own probe does not log in.
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError as error:
            raise NotReady(str(error)) from error


class SecureCassandra(Cassandra):
    """The stack's Cassandra, with roles."""

    def prepare(self) -> None:
        super().prepare()
        with (self.config_dir / "cassandra.yaml").open("a") as file:
            file.write("authenticator: PasswordAuthenticator\nauthorizer: CassandraAuthorizer\n")


@dataclass(frozen=True)
class Recorder(Plan):
    """Remembers what was changed."""

    dry_run: bool = False
    changes: list[str] = field(default_factory=list)

    def does(self, change: str, **details: object) -> bool:
        self.changes.append(change)
        return super().does(change, **details)


@contextmanager
def running(program: Program) -> Iterator[None]:
    program.prepare()
    program.log.parent.mkdir(parents=True, exist_ok=True)
    with program.log.open("wb") as log:
        process = subprocess.Popen(
            program.command(), cwd=program.settings.state_dir, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def until_ready(program: Program) -> None:
    async with asyncio.timeout(READY_WITHIN_SECONDS):
        while True:
            try:
                return await asyncio.to_thread(program.probe)
            except NotReady:
                await asyncio.sleep(0.3)


@pytest.fixture(scope="module")
async def database(stack: Stack) -> AsyncIterator[str]:
    """The DSN of a database whose tables no other test looks into."""
    async with fresh_database(live_dsn(stack)) as dsn:
        yield dsn


@pytest.fixture(scope="module")
async def wanted(
    stack: Stack, database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[MigrateSettings]:
    """Secure servers of their own for Kafka and Cassandra, the stack's for the rest; all as new."""
    settings = NativeSettings.for_tests(tmp_path_factory.mktemp("secure"))
    context = Context(settings, stack.credentials)
    kafka, cassandra = SecureKafka(context), SecureCassandra(context)
    unique = uuid.uuid4().hex[:8]
    everything = MigrateSettings(
        kafka_bootstrap_servers=kafka.address,
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_username="pinflow-admin",
        kafka_password=SecretStr(ADMIN_PASSWORD),
        kafka_ingest_password=SecretStr("ingest"),
        kafka_sink_password=SecretStr("sink"),
        kafka_stream_password=SecretStr(AWKWARD),
        cassandra_contact_points="127.0.0.1",
        cassandra_port=cassandra.port,
        cassandra_username="pinflow_admin",
        cassandra_password=SecretStr(AWKWARD),
        cassandra_batch_password=SecretStr(AWKWARD),
        s3_bucket=f"bucket-{unique}",
        s3_endpoint_url=stack.settings.s3_url,
        s3_access_key_id=S3_ROOT_KEY_ID,
        s3_secret_access_key=SecretStr(stack.credentials.s3_root_secret_file.read_text()),
        s3_sink_principal=f"sink-{unique}",
        s3_sink_secret=SecretStr("sink-secret&<>"),
        postgres_dsn=PostgresDsn(database),
        postgres_stream_password=SecretStr(AWKWARD),
        postgres_exporter_password=SecretStr(AWKWARD),
    )
    with running(kafka), running(cassandra):
        await asyncio.gather(until_ready(kafka), until_ready(cassandra))
        yield everything


@pytest.fixture(scope="module")
async def planned(wanted: MigrateSettings) -> set[str]:
    """What a dry run says of the new servers."""
    recorder = Recorder(dry_run=True)
    await migrate(wanted, recorder)
    return set(recorder.changes)


@pytest.fixture(scope="module")
async def made(wanted: MigrateSettings, planned: set[str]) -> set[str]:
    """What the run after it does."""
    recorder = Recorder()
    await migrate(wanted, recorder)
    return set(recorder.changes)


@pytest.fixture(scope="module")
async def told(wanted: MigrateSettings, made: set[str]) -> MigrateSettings:
    """The servers, migrated."""
    return wanted


async def migrate(settings: MigrateSettings, plan: Plan, *steps: Step) -> None:
    every = [Step.KAFKA, Step.BUCKET, Step.CASSANDRA, Step.POSTGRES]
    await cli.run(list(steps) or every, settings, plan, READY_WITHIN_SECONDS)


def as_user(told: MigrateSettings, name: str, password: str) -> KafkaSettings:
    return told.model_copy(update={"kafka_username": name, "kafka_password": SecretStr(password)})


def as_role(told: MigrateSettings, name: str, password: str) -> CassandraSettings:
    return told.model_copy(update={"cassandra_username": name, "cassandra_password": SecretStr(password)})


def log_in_to_cassandra(cassandra: CassandraSettings) -> None:
    with cassandra_session(cassandra):
        pass


async def send(kafka: KafkaSettings, topic: str, value: bytes = b"value") -> None:
    producer = KafkaProducer(kafka, compression="zstd", max_batch_bytes=65536)
    await producer.start()
    try:
        batch = producer.new_batch()
        assert batch.append(b"key", value, [])
        await (await producer.send(batch, TopicPartition(topic, 0)))
    finally:
        await producer.stop()


async def test_a_dry_run_of_new_servers_names_all_that_a_run_then_does(
    planned: set[str], made: set[str]
) -> None:
    assert planned == made
    assert "make the superuser of Cassandra" in made


async def test_a_second_run_changes_nothing(told: MigrateSettings) -> None:
    again = Recorder()
    await migrate(told, again)
    assert again.changes == ["race conditional PUTs"]


async def test_ingest_writes_pins_and_may_not_read_them(told: MigrateSettings) -> None:
    ingest = as_user(told, "ingest-api", "ingest")
    await send(ingest, "pins")
    with pytest.raises(DemoError, match="not allowed to use the topic 'pins': user 'ingest-api'"):
        await asyncio.wait_for(read_topic(ingest, "pins", OffsetRange({0: 0}, {0: 1})), 10)


async def test_the_sink_reads_pins_and_writes_dead_letters_but_no_pins(told: MigrateSettings) -> None:
    sink = as_user(told, "s3-sink", "sink")
    await send(as_user(told, "ingest-api", "ingest"), "pins")
    assert await read_topic(sink, "pins", OffsetRange({0: 0}, {0: 1}))
    await send(sink, "pins.dead-letter")
    with pytest.raises(
        BrokerUnavailable, match="not allowed to use the topic 'pins': user 's3-sink', check the ACLs"
    ):
        await send(sink, "pins")


class Listener:
    """Seeks nothing."""

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        pass

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        pass


async def test_a_group_of_another_name_is_refused_by_name(told: MigrateSettings) -> None:
    consumer = KafkaGroupConsumer(
        as_user(told, "s3-sink", "sink"), group="other", instance=None, max_fetch_bytes=1024 * 1024
    )
    await consumer.start(Listener())
    try:
        with pytest.raises(
            BrokerUnavailable, match="not allowed to join the group 'other': user 's3-sink', check the ACLs"
        ):
            await consumer.poll(5, 1024)
    finally:
        await consumer.stop()


async def test_who_may_write_nothing_is_told_at_the_start(told: MigrateSettings) -> None:
    with pytest.raises(BrokerUnavailable, match="not allowed to write to any topic: user 'stream-etl'"):
        await send(as_user(told, "stream-etl", AWKWARD), "pins")


async def test_a_right_that_is_not_wanted_is_taken_away(told: MigrateSettings) -> None:
    admin = AdminClient(admin_options(told))
    (write_pins,) = wanted_accounts(told)[0].rights
    extra = AclBinding(
        write_pins.restype,
        write_pins.name,
        write_pins.resource_pattern_type,
        "User:s3-sink",
        "*",
        write_pins.operation,
        write_pins.permission_type,
    )
    for future in admin.create_acls([extra]).values():
        await asyncio.wrap_future(future)
    recorder = Recorder()
    await migrate(told, recorder, Step.KAFKA)
    assert recorder.changes == ["revoke in Kafka"]
    again = Recorder()
    await migrate(told, again, Step.KAFKA)
    assert again.changes == []


async def test_a_role_that_was_made_a_superuser_is_one_no_more(told: MigrateSettings) -> None:
    owner = await asyncpg.connect(str(told.postgres_dsn))

    def make_a_superuser() -> None:
        with cassandra_session(told) as session:
            session.execute("ALTER ROLE batch_etl WITH SUPERUSER = true")

    try:
        await owner.execute("ALTER ROLE exporter SUPERUSER CREATEROLE")
        await asyncio.to_thread(make_a_superuser)
        recorder = Recorder()
        await migrate(told, recorder, Step.CASSANDRA, Step.POSTGRES)
        assert set(recorder.changes) == {
            "take a role's attributes in PostgreSQL",
            "take a superuser's place in Cassandra",
        }
        assert not await owner.fetchval(
            "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname='exporter'"
        )
    finally:
        await owner.close()


@pytest.fixture
async def managed(stack: Stack, tmp_path: Path) -> AsyncIterator[tuple[asyncpg.Connection, MigrateSettings]]:
    """A PostgreSQL of somebody else's: its superuser, and what the migrations are told of it."""
    server = Postgres(Context(NativeSettings.for_tests(tmp_path), stack.credentials))
    with running(server):
        await until_ready(server)
        dsn = dsn_file(server.context).read_text()
        provider = await asyncpg.connect(dsn)
        try:
            await provider.execute(MASTER)
            yield (
                provider,
                MigrateSettings(
                    postgres_dsn=PostgresDsn(f"postgresql://master:master@{dsn.rpartition('@')[2]}"),
                    postgres_stream_password=SecretStr("stream"),
                    postgres_exporter_password=SecretStr("exporter"),
                    postgres_auditor_password=SecretStr("auditor"),
                ),
            )
        finally:
            # The server waits for it.
            await provider.close()


async def test_a_master_user_who_is_no_superuser_makes_every_role(
    managed: tuple[asyncpg.Connection, MigrateSettings],
) -> None:
    provider, told = managed
    first, second, third = Recorder(), Recorder(), Recorder()
    await migrate(told, first, Step.POSTGRES)
    await migrate(told, second, Step.POSTGRES)
    await provider.execute("ALTER ROLE exporter CREATEDB")
    await migrate(told, third, Step.POSTGRES)
    assert first.changes.count("set the password in PostgreSQL") == 3
    assert second.changes == []
    assert third.changes == ["take a role's attributes in PostgreSQL"]


async def test_what_a_master_user_may_not_change_is_refused_by_name(
    managed: tuple[asyncpg.Connection, MigrateSettings],
) -> None:
    provider, told = managed
    await migrate(told, Plan(dry_run=False), Step.POSTGRES)
    await provider.execute("ALTER ROLE auditor SUPERUSER")
    with pytest.raises(RefusedError, match="does not allow it to 'master'"):
        await migrate(told, Plan(dry_run=False), Step.POSTGRES)


async def test_a_password_is_changed_by_another_run(told: MigrateSettings) -> None:
    new = told.model_copy(
        update={
            "kafka_ingest_password": SecretStr("new"),
            "cassandra_batch_password": SecretStr("new"),
            "postgres_exporter_password": SecretStr("new"),
            "s3_sink_secret": SecretStr("new-secret"),
        }
    )
    recorder = Recorder()
    await migrate(new, recorder)
    try:
        # A set: Cassandra changes a password every 5 s at most, and is asked again until then.
        assert set(recorder.changes) == {
            "make the S3 account",
            "race conditional PUTs",
            "set the password in Cassandra",
            "set the password in Kafka",
            "set the password in PostgreSQL",
        }
        await log_in(as_user(told, "ingest-api", "new"))
        with pytest.raises(LoginRefused, match="user 'ingest-api', check the password"):
            await log_in(as_user(told, "ingest-api", "ingest"))
        await (await asyncpg.connect(str(told.postgres_dsn), user="exporter", password="new")).close()
        # At once, although Cassandra remembers a refusal.
        await asyncio.to_thread(log_in_to_cassandra, as_role(told, "batch_etl", "new"))
    finally:
        await migrate(told, Plan(dry_run=False))


async def test_a_superuser_with_another_password_is_refused_by_name(told: MigrateSettings) -> None:
    wrong = as_user(told, "pinflow-admin", "wrong")
    with pytest.raises(RefusedError, match="not allowed to log in: user 'pinflow-admin'"):
        await migrate(MigrateSettings.model_construct(**dict(wrong)), Plan(dry_run=False), Step.KAFKA)


async def test_the_built_in_superuser_of_cassandra_is_gone(
    told: MigrateSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CassandraLoginRefused, match="user 'cassandra', check the password"):
        await asyncio.to_thread(log_in_to_cassandra, as_role(told, "cassandra", "cassandra"))
    monkeypatch.setattr(cassandra_accounts, "BUILT_IN_WITHIN_SECONDS", 0)
    wrong = told.model_copy(update={"cassandra_password": SecretStr("wrong")})
    with pytest.raises(RefusedError, match="'pinflow_admin', and that of the built-in role"):
        await migrate(wrong, Plan(dry_run=False), Step.CASSANDRA)


@pytest.mark.parametrize("length", [16 * 1024, 64 * 1024])
async def test_the_batch_role_reads_and_writes_rows_however_long_and_makes_no_tables(
    told: MigrateSettings, length: int
) -> None:
    def batch() -> None:
        with cassandra_session(as_role(told, "batch_etl", AWKWARD)) as session:
            pin, category = uuid.uuid4(), "я" * (length // 2)
            session.execute(
                "INSERT INTO pinterest.pins (unique_id, category) VALUES (%s, %s)", (pin, category)
            )
            found = session.execute("SELECT category FROM pinterest.pins WHERE unique_id = %s", (pin,)).one()
            assert found.category == category
            for statement in (
                "CREATE TABLE pinterest.more (x int PRIMARY KEY)",
                "DROP TABLE pinterest.pins",
                "TRUNCATE system_auth.roles",
                "CREATE ROLE another",
            ):
                with pytest.raises((Unauthorized, InvalidRequest)):
                    session.execute(statement)

    await asyncio.to_thread(batch)


async def test_the_stream_role_writes_rows_and_drops_nothing(told: MigrateSettings) -> None:
    connection = await asyncpg.connect(str(told.postgres_dsn), user="stream_etl", password=AWKWARD)
    try:
        await connection.execute("SET search_path TO pinterest")
        await connection.execute("INSERT INTO stream_batches VALUES (gen_random_uuid(), 0, now(), 1)")
        await connection.execute("DELETE FROM stream_batches WHERE committed_at = 'epoch'")
        for statement in (
            "DROP TABLE pins",
            "ALTER TABLE pins ADD COLUMN x int",
            "CREATE TABLE more (x int)",
            "CREATE TABLE public.more (x int)",
            "TRUNCATE pins",
            "SELECT * FROM schema_migrations",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_stream_role_may_use_a_table_of_a_later_migration(told: MigrateSettings) -> None:
    owner = await asyncpg.connect(str(told.postgres_dsn))
    stream = await asyncpg.connect(str(told.postgres_dsn), user="stream_etl", password=AWKWARD)
    try:
        await owner.execute("CREATE TABLE pinterest.later (x int)")
        await stream.execute("INSERT INTO pinterest.later VALUES (1)")
    finally:
        await owner.execute("DROP TABLE IF EXISTS pinterest.later")
        await owner.close()
        await stream.close()


async def test_the_exporter_sees_statistics_and_no_pins(told: MigrateSettings) -> None:
    connection = await asyncpg.connect(str(told.postgres_dsn), user="exporter", password=AWKWARD)
    try:
        assert await connection.fetchval("SELECT pg_has_role('pg_monitor', 'MEMBER')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT * FROM pinterest.pins")
    finally:
        await connection.close()


async def test_the_account_of_the_sink_may_list_its_bucket(told: MigrateSettings) -> None:
    login = {"s3_access_key_id": told.s3_sink_principal, "s3_secret_access_key": told.s3_sink_secret}
    async with s3_client(told.model_copy(update=login)) as client:
        assert (await client.list_objects_v2(Bucket=told.s3_bucket))["KeyCount"] == 0


@asynccontextmanager
async def service(name: str, log: Path, told: MigrateSettings, **more: str) -> AsyncIterator[str]:
    """Run a service of ours with a login of its name; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": told.kafka_bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_USERNAME": name,
        "HTTP_PORT": str(port),
        **more,
    }
    environment = os.environ | {f"{PREFIXES[name]}_{variable}": value for variable, value in settings.items()}
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / name, env=environment, stdout=file, stderr=file
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        # Spark's JVM is a child.
        for each in psutil.Process(process.pid).children(recursive=True):
            each.kill()
        process.kill()
        await process.wait()


async def readiness(url: str) -> dict[str, str]:
    async with aiohttp.ClientSession() as session:
        with suppress(aiohttp.ClientError):
            async with session.get(f"{url}/health/ready") as answer:
                report: dict[str, Any] = await answer.json()
                return {name: entry.get("why", "up") for name, entry in report["dependencies"].items()}
    return {}


def stream_settings(stack: Stack, told: MigrateSettings, checkpoint: Path) -> dict[str, str]:
    address = str(told.postgres_dsn).rpartition("@")[2]
    return {
        "POSTGRES_DSN": f"postgresql://stream_etl:{quote(AWKWARD, safe='')}@{address}",
        "CHECKPOINT_DIR": str(checkpoint),
        "SPARK_JARS_DIR": str(builds.SPARK.entry(stack.settings.cache_dir)),
        "SPARK_MASTER": "local[2]",
    }


@pytest.mark.parametrize("name", PREFIXES)
async def test_a_wrong_password_is_named_in_readiness(
    name: str, told: MigrateSettings, stack: Stack, tmp_path: Path
) -> None:
    more = stream_settings(stack, told, tmp_path) if name == "stream-etl" else {}
    async with service(name, tmp_path / "log", told, KAFKA_PASSWORD="wr0ng", **more) as url:
        async with asyncio.timeout(READY_WITHIN_SECONDS):
            while "not allowed" not in (why := (await readiness(url)).get("kafka", "")):
                await asyncio.sleep(0.2)
    assert f"not allowed to log in: user '{name}', check the password" in why
    assert "wr0ng" not in (tmp_path / "log").read_text()


async def test_stream_etl_logs_in_everywhere_and_tells_nobody_how(
    told: MigrateSettings, stack: Stack, tmp_path: Path
) -> None:
    pin = str(uuid.uuid4())
    value = f'{{"index": 1, "unique_id": "{pin}", "image_src": "https://a.b/c.jpg"}}'.encode()
    await send(as_user(told, "ingest-api", "ingest"), "pins", value)
    settings = stream_settings(stack, told, tmp_path / "checkpoint") | {
        "KAFKA_PASSWORD": AWKWARD,
        "LOG_LEVEL": "DEBUG",
    }
    written = "SELECT true FROM pinterest.pins WHERE unique_id = $1"
    connection = await asyncpg.connect(str(told.postgres_dsn))
    try:
        async with service("stream-etl", tmp_path / "log", told, **settings):
            async with asyncio.timeout(WRITTEN_WITHIN_SECONDS):
                while not await connection.fetchval(written, pin):
                    await asyncio.sleep(0.3)
    finally:
        await connection.close()
    assert "ConsumerConfig" in (tmp_path / "log").read_text()
    for path in every_file(tmp_path):
        assert "quoted" not in path.read_text(errors="replace"), path


def every_file(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]
