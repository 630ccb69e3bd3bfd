"""The migrations against the real servers: idempotent, careful, and unwilling where a promise would break."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from aiohttp import ClientSession, web
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cassandra.cluster import Cluster
from cassandra.protocol import InvalidRequest
from fresh_database import fresh_database
from ingest_api.settings import IngestSettings
from migrations import bucket, cassandra, kafka_topics, postgres, versions
from migrations.errors import RefusedError, StoreNotAtomicError
from migrations.progress import Plan
from migrations.settings import MigrateSettings
from migrations.versions import Migration
from native_stack.stack import Stack
from service_runtime.kafka_producer import InvalidRecordError
from service_runtime.s3 import s3_client

pytestmark = pytest.mark.must(17)


@dataclass(frozen=True)
class Recorder(Plan):
    """Remembers what was changed."""

    dry_run: bool = False
    changes: list[str] = field(default_factory=list)

    def does(self, change: str, **details: object) -> bool:
        self.changes.append(change)
        return super().does(change, **details)


@pytest.fixture
def settings(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[..., MigrateSettings]:
    """Settings of the running stack, with names nobody else uses."""
    for name, value in stack.environment("migrate").items():
        monkeypatch.setenv(name, value)
    unique = uuid.uuid4().hex[:8]

    def build(**changes: Any) -> MigrateSettings:
        names: dict[str, Any] = {
            "kafka_topic": f"topic-{unique}",
            "s3_bucket": f"bucket-{unique}",
            "cassandra_keyspace": f"keyspace_{unique}",
        }
        return MigrateSettings(**(names | changes))

    return build


Build = Callable[..., MigrateSettings]


async def test_topics_are_created_once(settings: Build) -> None:
    first, second = Recorder(), Recorder()
    await kafka_topics.migrate(settings(), first)
    await kafka_topics.migrate(settings(), second)
    topic = settings().kafka_topic
    assert first.changes == [f"create topic {topic}", f"create topic {topic}.dead-letter"]
    assert second.changes == []


@asynccontextmanager
async def kafka_admin(settings: MigrateSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def config_where(admin: AIOKafkaAdminClient, topic: str, name: str, value: str) -> dict[str, str]:
    """Return the configuration once it has that value: the broker hears of changes a bit later."""
    async with asyncio.timeout(20):
        while True:
            (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
            config = {entry[0]: entry[1] for entry in answer.resources[0][4]}
            if config[name] == value:
                return config
            await asyncio.sleep(0.1)


async def test_a_configuration_that_was_changed_is_put_back_and_what_others_set_stays(
    settings: Build,
) -> None:
    wanted = settings()
    await kafka_topics.migrate(wanted, Plan(dry_run=False))
    async with kafka_admin(wanted) as admin:
        changed = {"retention.ms": "1000", "segment.ms": "60000"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, wanted.kafka_topic, changed)])
        await config_where(admin, wanted.kafka_topic, "retention.ms", "1000")
        again = Recorder()
        await kafka_topics.migrate(wanted, again)
        config = await config_where(admin, wanted.kafka_topic, "retention.ms", "604800000")
    assert again.changes == [f"alter topic {wanted.kafka_topic}"]
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert config["segment.ms"] == "60000"


async def test_a_topic_of_an_earlier_version_gets_what_it_lacks(settings: Build) -> None:
    wanted, _ = kafka_topics.wanted_topics(settings())
    earlier = {"message.timestamp.type": "LogAppendTime", "retention.ms": "604800000"}
    async with kafka_admin(settings()) as admin:
        await admin.create_topics([NewTopic(wanted.name, wanted.partitions, 1, topic_configs=earlier)])
        await kafka_topics.migrate(settings(), changes := Recorder())
        assert changes.changes == [f"alter topic {wanted.name}", f"create topic {wanted.name}.dead-letter"]
        config = await config_where(admin, wanted.name, "max.decompressed.message.bytes", "4194304")
    assert config.items() >= wanted.config.items()
    await kafka_topics.migrate(settings(), again := Recorder())
    assert again.changes == []


async def test_a_record_that_inflates_beyond_the_bound_is_refused_and_the_largest_batch_passes(
    settings: Build,
) -> None:
    """Case 08: 100 MiB of one letter, some 20 KB on the wire. ingest-api's own batches are untouched."""
    topic, address = settings().kafka_topic, settings().kafka_bootstrap_servers
    await kafka_topics.migrate(settings(), Plan(dry_run=False))
    options: dict[str, Any] = {"bootstrap_servers": address, "acks": "all", "compression_type": "zstd"}
    async with AIOKafkaProducer(**options, max_request_size=2**30) as producer:
        with pytest.raises(InvalidRecordError):
            await producer.send_and_wait(topic, b'{"a":"%s"}' % (b"x" * 100 * 2**20), partition=0)

    largest = IngestSettings().batch_max_bytes
    async with AIOKafkaProducer(**options, enable_idempotence=True, max_batch_size=largest) as producer:
        batch = producer.create_batch()
        while batch.append(key=b"pin", value=b"x" * 62_000, timestamp=None):
            pass
        assert batch.size() > largest - 64 * 1024
        ack = await (await producer.send_batch(batch, topic, partition=0))
    assert ack.offset == 0, "nothing of the refused record was kept"


@pytest.mark.parametrize("partitions", [3, 12])
async def test_another_partition_count_is_refused_whichever_way(settings: Build, partitions: int) -> None:
    await kafka_topics.migrate(settings(), Plan(dry_run=False))
    with pytest.raises(RefusedError, match=f"has 6 partitions and {partitions} are wanted"):
        await kafka_topics.migrate(settings(kafka_partitions=partitions), Plan(dry_run=False))
    await kafka_topics.migrate(settings(), Plan(dry_run=False))


async def test_a_configuration_kafka_refuses_is_not_retried_for_ever(settings: Build) -> None:
    with pytest.raises(RefusedError, match="InvalidConfiguration"):
        await kafka_topics.migrate(settings(kafka_min_insync_replicas=2_000_000_000_000), Plan(dry_run=False))


async def test_a_bucket_is_created_once_and_its_policy_put_once(settings: Build) -> None:
    first, second = Recorder(), Recorder()
    await bucket.migrate(settings(), first)
    await bucket.migrate(settings(), second)
    assert first.changes == ["create bucket", "put bucket policy", "race conditional PUTs"]
    assert second.changes == ["race conditional PUTs"]


async def test_the_probe_leaves_nothing_in_the_bucket(settings: Build) -> None:
    await bucket.migrate(settings(), Plan(dry_run=False))
    async with s3_client(settings()) as client:
        listing = await client.list_objects_v2(Bucket=settings().s3_bucket)
    assert listing["KeyCount"] == 0


async def test_a_wrong_key_is_refused_and_not_waited_for(settings: Build) -> None:
    with pytest.raises(RefusedError, match="MIGRATE_S3_ACCESS_KEY_ID"):
        await bucket.migrate(settings(s3_access_key_id="nobody"), Plan(dry_run=False))


@asynccontextmanager
async def without_the_condition(settings: MigrateSettings) -> AsyncIterator[str]:
    """A proxy before the real store that drops If-None-Match, signs anew, and is otherwise faithful."""
    secret = settings.s3_secret_access_key
    assert secret is not None
    signer = S3SigV4Auth(Credentials(settings.s3_access_key_id, secret.get_secret_value()), "s3", "us-east-1")

    async def forward(request: web.Request) -> web.Response:
        kept = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in {"content-type", "content-md5"} or name.lower().startswith("x-amz-meta")
        }
        url = f"{settings.s3_endpoint_url}{request.raw_path}"
        signed = AWSRequest(request.method, url, headers=kept, data=await request.read())
        signer.add_auth(signed)
        answer = await client.request(
            request.method, url, headers=dict(signed.headers.items()), data=signed.data
        )
        body = await answer.read()
        headers = {name: value for name, value in answer.headers.items() if name in {"ETag", "Content-Type"}}
        return web.Response(status=answer.status, body=body, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(app)
    async with ClientSession() as client:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def test_a_store_that_ignores_if_none_match_is_refused_by_name(settings: Build) -> None:
    await bucket.migrate(settings(), Plan(dry_run=False))
    async with without_the_condition(settings()) as url:
        with pytest.raises(StoreNotAtomicError) as caught:
            await bucket.migrate(settings(s3_endpoint_url=url), Plan(dry_run=False))
    message = str(caught.value)
    assert "does not honour If-None-Match under concurrency: found 10 winners among 10 racers" in message
    assert "versitygw ≥ 1.8.0" in message
    async with s3_client(settings()) as client:
        assert (await client.list_objects_v2(Bucket=settings().s3_bucket))["KeyCount"] == 0


async def test_cassandra_tables_are_made_once_and_hold_what_was_written(settings: Build) -> None:
    first, second = Recorder(), Recorder()
    await cassandra.migrate(settings(), first)
    await cassandra.migrate(settings(), second)
    files = versions.load(cassandra.FOLDER)
    assert first.changes == ["create keyspace", *["apply to Cassandra"] * len(files)]
    assert second.changes == []
    await asyncio.to_thread(a_repeated_write_stands_once, settings())


def a_repeated_write_stands_once(settings: MigrateSettings) -> None:
    with Cluster(
        [settings.cassandra_contact_points], port=settings.cassandra_port, protocol_version=5
    ) as cluster:
        session = cluster.connect(settings.cassandra_keyspace)
        insert = (
            "INSERT INTO pins (unique_id, category, tag_list, event_time) VALUES (%s, 'art', ['a', 'b'], 1) "
            "USING TIMESTAMP 1000"
        )
        pin = uuid.uuid4()
        for _ in range(2):
            session.execute(insert, (pin,))
        rows = list(session.execute("SELECT * FROM pins WHERE category = 'art'"))
        assert [(row.unique_id, row.tag_list) for row in rows] == [(pin, ["a", "b"])]
        tables = set(cluster.metadata.keyspaces[settings.cassandra_keyspace].tables)
        assert tables == {"pins", "pins_rejected", "etl_objects", "etl_runs", "schema_migrations"}
        with pytest.raises(InvalidRequest):
            session.execute("SELECT nonsense FROM pins")


@pytest.mark.parametrize(
    ("migrator", "folder"), [(cassandra, "cassandra_files"), (postgres, "postgres_files")]
)
async def test_a_changed_file_is_refused_and_changes_nothing(
    settings: Build, monkeypatch: pytest.MonkeyPatch, migrator: Any, folder: str
) -> None:
    await migrator.migrate(settings(), Plan(dry_run=False))
    changed = [Migration(item.name, item.text + "\n-- changed") for item in versions.load(folder)]
    added = Migration("9999_later.sql", "CREATE TABLE IF NOT EXISTS later (x int PRIMARY KEY)")
    monkeypatch.setattr(versions, "load", lambda _: [*changed, added])
    recorder = Recorder()
    with pytest.raises(RefusedError, match="0001_"):
        await migrator.migrate(settings(), recorder)
    assert recorder.changes == []


async def test_two_migrators_at_once_apply_each_file_once(settings: Build) -> None:
    async with fresh_database(str(settings().postgres_dsn)) as dsn:
        recorders = [Recorder(), Recorder(), Recorder()]
        await asyncio.gather(*(postgres.migrate(settings(postgres_dsn=dsn), each) for each in recorders))
        connection = await asyncpg.connect(dsn)
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'pinterest'"
        )
        await connection.close()
    files = versions.load(postgres.FOLDER)
    assert [change for each in recorders for change in each.changes] == ["apply to PostgreSQL"] * len(files)
    assert {row["table_name"] for row in tables} == {
        "pin_windows",
        "poster_sessions",
        "pins",
        "rejected_pins",
        "late_pins",
        "stream_batches",
        "stream_positions",
        "stream_staging",
        "schema_migrations",
    }


BEFORE_LOGS_HAD_NAMES = """
INSERT INTO pins (unique_id, idx, image_src, event_time, source_partition, source_offset)
    VALUES (gen_random_uuid(), 1, 'a', '2026-01-01T00:00:00.007Z', 0, 5);
INSERT INTO rejected_pins (source_partition, source_offset, reason, raw, event_time)
    VALUES (0, 5, 'no_image', '', '2026-01-01Z'), (0, 5, 'no_image', '', '2026-01-02Z');
INSERT INTO stream_positions (query_id, source_partition, source_offset, event_time)
    VALUES (gen_random_uuid(), 0, 5, '2026-01-01T00:00:00.007Z');
"""


async def test_rows_of_logs_without_a_name_are_kept_apart(
    settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = versions.load(postgres.FOLDER)
    async with fresh_database(str(settings().postgres_dsn)) as dsn:
        monkeypatch.setattr(versions, "load", lambda _: files[:3])
        await postgres.migrate(settings(postgres_dsn=dsn), Plan(dry_run=False))
        connection = await asyncpg.connect(dsn, server_settings={"search_path": "pinterest"})
        await connection.execute(BEFORE_LOGS_HAD_NAMES)
        monkeypatch.setattr(versions, "load", lambda _: files)
        await postgres.migrate(settings(postgres_dsn=dsn), Plan(dry_run=False))
        logs = await connection.fetch("SELECT source_log FROM rejected_pins ORDER BY event_time DESC")
        version = await connection.fetchval("SELECT version FROM pins")
        lead = await connection.fetchval("SELECT lead FROM stream_positions")
        await connection.close()
    assert [row["source_log"] for row in logs] == ["t00000000", "t00000001"]
    assert version == lead + 5 == 1767225600_007_000


async def test_a_file_that_fails_half_way_leaves_nothing(
    settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Migration("0001_broken.sql", "CREATE TABLE a (x int); CREATE TABLE nonsense (;")
    monkeypatch.setattr(versions, "load", lambda _: [broken])
    async with fresh_database(str(settings().postgres_dsn)) as dsn:
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await postgres.migrate(settings(postgres_dsn=dsn), Plan(dry_run=False))
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT to_regclass('pinterest.a')") is None
        await connection.close()


async def test_a_wrong_password_is_refused_and_not_waited_for(settings: Build) -> None:
    dsn = str(settings().postgres_dsn)
    wrong = f"postgresql://pinflow:wrong@{dsn.split('@')[1]}"
    with pytest.raises(RefusedError, match="refused the login"):
        await postgres.migrate(settings(postgres_dsn=wrong), Plan(dry_run=False))


async def test_a_dry_run_says_everything_and_changes_nothing(settings: Build) -> None:
    async with fresh_database(str(settings().postgres_dsn)) as dsn:
        dry = settings(postgres_dsn=dsn)
        for migrator in (kafka_topics, bucket, cassandra, postgres):
            first, second = Recorder(dry_run=True), Recorder(dry_run=True)
            await migrator.migrate(dry, first)
            await migrator.migrate(dry, second)
            assert first.changes
            # Nothing was done the first time, so all is left to do.
            assert second.changes == first.changes
