"""How to reach the servers of a stack: for the demo and for tests."""

from pydantic import SecretStr
from service_runtime.settings import CassandraSettings, KafkaSettings, S3Settings

from native_stack.credentials import S3_SINK_KEY_ID
from native_stack.program import Context
from native_stack.servers.postgres import dsn_file
from native_stack.services import BUCKET
from native_stack.stack import Stack


def topic_settings(stack: Stack) -> KafkaSettings:
    """Return where the stack's Kafka is."""
    return KafkaSettings(kafka_bootstrap_servers=stack.settings.kafka_address)


def archive_settings(stack: Stack) -> S3Settings:
    """Return how to read the stack's archive: with the sink's own key."""
    secret = stack.credentials.s3_sink_secret_file.read_text(encoding="utf-8").strip()
    return S3Settings(
        s3_bucket=BUCKET,
        s3_endpoint_url=stack.settings.s3_url,
        s3_access_key_id=S3_SINK_KEY_ID,
        s3_secret_access_key=SecretStr(secret),
    )


def catalogue_settings(stack: Stack) -> CassandraSettings:
    """Return where the stack's Cassandra is."""
    return CassandraSettings(
        cassandra_contact_points="127.0.0.1", cassandra_port=stack.settings.cassandra_port
    )


def live_dsn(stack: Stack) -> str:
    """Return how to log in to the stack's PostgreSQL."""
    return dsn_file(Context(stack.settings, stack.credentials)).read_text(encoding="utf-8")
