"""Who may do what: each service's own account, in its own container, tries what it must not."""

import re

import pytest

from compose.conftest import Loaded
from compose.stack import ComposeStack

pytestmark = pytest.mark.must(31)

KAFKA = """
import asyncio, sys
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from service_runtime.kafka import client_options
from {module} import {settings}
kafka = {settings}.load()

async def read(topic):
    async with AIOKafkaConsumer(**client_options(kafka)) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        await asyncio.wait_for(consumer.getone(), 20)

async def write(topic):
    async with AIOKafkaProducer(**client_options(kafka)) as producer:
        await asyncio.wait_for(producer.send_and_wait(topic, b"x", partition=0), 20)

asyncio.run({verb}("{topic}"))
"""
S3 = """
import asyncio
from service_runtime.s3 import s3_client
from {module} import {settings}
settings = {settings}.load()

async def main():
    async with s3_client(settings) as s3:
        found = await s3.list_objects_v2(Bucket=settings.s3_bucket, Prefix="raw/", MaxKeys=1)
        key = found["Contents"][0]["Key"]
        {call}

asyncio.run(main())
"""
CASSANDRA = """
from service_runtime.cassandra import cassandra_session
from {module} import {settings}
with cassandra_session({settings}.load()) as session:
    session.execute("{statement}")
"""
POSTGRES = """
import asyncio, asyncpg
from {module} import {settings}

async def main():
    connection = await asyncpg.connect(str({settings}.load().postgres_dsn))
    await connection.execute("{statement}")

asyncio.run(main())
"""
PUSH = """
import sys
from urllib.request import urlopen
urlopen(f"http://{sys.argv[1]}:9091/metrics/job/batch-etl", data=b"x 1\\n", timeout=10)
"""
SETTINGS = {
    "ingest-api": ("ingest_api.settings", "IngestSettings"),
    "s3-sink": ("s3_sink.settings", "SinkSettings"),
    "stream-etl": ("stream_etl.settings", "StreamSettings"),
    "batch-etl": ("batch_etl.settings", "BatchSettings"),
    "demo": ("reconcile.demo.settings", "DemoSettings"),
}
PUT = 'await s3.put_object(Bucket=settings.s3_bucket, Key={key}, Body=b"x")'
DELETE = "await s3.delete_object(Bucket=settings.s3_bucket, Key=key)"
ALLOWED = [
    ("stream-etl", KAFKA, {"verb": "read", "topic": "pins"}),
    ("s3-sink", KAFKA, {"verb": "read", "topic": "pins"}),
    ("demo", KAFKA, {"verb": "read", "topic": "pins"}),
    ("batch-etl", S3, {"call": "await s3.get_object(Bucket=settings.s3_bucket, Key=key)"}),
    ("batch-etl", CASSANDRA, {"statement": "SELECT * FROM pinterest.pins LIMIT 1"}),
    ("demo", CASSANDRA, {"statement": "SELECT * FROM pinterest.pins LIMIT 1"}),
    ("stream-etl", POSTGRES, {"statement": "SELECT 1 FROM pinterest.pins LIMIT 1"}),
    ("demo", POSTGRES, {"statement": "SELECT 1 FROM pinterest.pins LIMIT 1"}),
]
REFUSED = [
    ("ingest-api", KAFKA, {"verb": "read", "topic": "pins"}, "TopicAuthorizationFailed"),
    ("ingest-api", KAFKA, {"verb": "write", "topic": "pins.dead-letter"}, "TopicAuthorizationFailed"),
    ("s3-sink", KAFKA, {"verb": "write", "topic": "pins"}, "TopicAuthorizationFailed"),
    ("stream-etl", KAFKA, {"verb": "write", "topic": "pins"}, "TopicAuthorizationFailed"),
    ("demo", KAFKA, {"verb": "write", "topic": "pins"}, "TopicAuthorizationFailed"),
    ("s3-sink", S3, {"call": DELETE}, "AccessDenied"),
    ("s3-sink", S3, {"call": PUT.format(key='"other/x"')}, "AccessDenied"),
    ("batch-etl", S3, {"call": DELETE}, "AccessDenied"),
    ("batch-etl", S3, {"call": PUT.format(key="key")}, "AccessDenied"),
    ("batch-etl", CASSANDRA, {"statement": "DROP TABLE pinterest.pins"}, "Unauthorized"),
    ("batch-etl", CASSANDRA, {"statement": "CREATE ROLE other"}, "Unauthorized"),
    ("demo", CASSANDRA, {"statement": "TRUNCATE pinterest.pins"}, "Unauthorized"),
    ("stream-etl", POSTGRES, {"statement": "DROP TABLE pinterest.pins"}, "must be owner"),
    ("stream-etl", POSTGRES, {"statement": "CREATE TABLE pinterest.x ()"}, "permission denied"),
    ("demo", POSTGRES, {"statement": "DELETE FROM pinterest.pins"}, "permission denied"),
]


def attempted(stack: ComposeStack, service: str, script: str, arguments: dict[str, str]) -> tuple[int, str]:
    """Run a script as a service: its image, its user, its secrets."""
    module, settings = SETTINGS[service]
    text = script
    for name, value in {"module": module, "settings": settings, **arguments}.items():
        text = text.replace(f"{{{name}}}", value)
    run = ["run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "python", service, "-c", text]
    done = stack.attempt(*run, timeout=90)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("service", "script", "arguments"), ALLOWED)
def test_a_service_may_do_its_work(
    stack: ComposeStack, loaded: Loaded, service: str, script: str, arguments: dict[str, str]
) -> None:
    code, said = attempted(stack, service, script, arguments)
    assert code == 0, said


@pytest.mark.parametrize(("service", "script", "arguments", "why"), REFUSED)
def test_a_service_may_do_nothing_else(
    stack: ComposeStack, loaded: Loaded, service: str, script: str, arguments: dict[str, str], why: str
) -> None:
    code, said = attempted(stack, service, script, arguments)
    assert code != 0
    assert why in said, said


def test_the_pushgateway_takes_nothing_from_a_stranger_and_is_reached_by_the_push_proxy_alone(
    stack: ComposeStack,
) -> None:
    push = ["exec", "--no-TTY", "s3-sink", "python", "-c", PUSH]
    assert "401" in stack.attempt(*push, "push-proxy").stderr
    # No such name in its network: how a resolver puts that differs.
    assert re.search("not known|name resolution", stack.attempt(*push, "pushgateway").stderr)


def test_redis_knows_nobody_without_a_password(stack: ComposeStack) -> None:
    answer = stack.compose("exec", "--no-TTY", "redis", "redis-cli", "KEYS", "*")
    assert "NOAUTH" in answer


def test_the_batch_jobs_redis_account_sees_its_own_keys_alone(stack: ComposeStack) -> None:
    password = (stack.secrets / "redis-batch-password").read_text()
    login = ["redis-cli", "--user", "batch-etl", "--pass", password, "--no-auth-warning"]
    for command in (["SET", "other", "1"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["KEYS", "*"]):
        assert "NOPERM" in stack.compose("exec", "--no-TTY", "redis", *login, *command), command
