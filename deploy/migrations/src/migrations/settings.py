"""What the migrations are told: where each server is, and how big its topics and keyspaces are to be."""

from pydantic import Field, PostgresDsn
from pydantic_settings import SettingsConfigDict
from service_runtime.settings import CassandraSettings, KafkaSettings, S3Settings


class MigrateSettings(KafkaSettings, S3Settings, CassandraSettings):
    """Settings of all steps, from `MIGRATE_…` variables."""

    model_config = SettingsConfigDict(env_prefix="MIGRATE_")

    kafka_partitions: int = Field(default=6, ge=1, description="of the topic of pins")
    kafka_replication_factor: int = Field(default=1, ge=1)
    kafka_min_insync_replicas: int = Field(default=1, ge=1)
    s3_sink_principal: str | None = Field(
        default=None,
        description="who may write the archive: an access key id for versitygw, a role ARN for AWS",
    )
    s3_batch_principal: str | None = Field(default=None, description="who may read it, in the same terms")
    cassandra_replication: str = Field(
        default="{'class': 'SimpleStrategy', 'replication_factor': 1}",
        description="the keyspace's replication map, in CQL",
    )
    # Only the postgres step needs it: the others must run without.
    postgres_dsn: PostgresDsn | None = None
