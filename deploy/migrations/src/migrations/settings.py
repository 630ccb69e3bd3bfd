"""What the migrations are told: where each server is, how big its topics are to be, who may log in."""

from typing import Self

from pydantic import Field, PostgresDsn, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict
from service_runtime.settings import CassandraSettings, KafkaSettings, S3Settings

GIB = 1024**3


class MigrateSettings(KafkaSettings, S3Settings, CassandraSettings):
    """Settings of all steps, from `MIGRATE_…` variables.

    An account is made when its password is told; the logins of the groups are those of who makes it.
    """

    model_config = SettingsConfigDict(env_prefix="MIGRATE_")

    kafka_partitions: int = Field(default=6, ge=1, description="of the topic of pins")
    kafka_replication_factor: int = Field(default=1, ge=1)
    kafka_min_insync_replicas: int = Field(default=1, ge=1)
    # With six partitions 90 GiB, of a disk of 100: DiskFills speaks before the first record goes.
    kafka_retention_bytes: int = Field(
        default=15 * GIB,
        ge=GIB,
        description="what a partition of the topic of pins may hold on a broker's disk",
    )
    kafka_ingest_password: SecretStr | None = None
    kafka_sink_password: SecretStr | None = None
    kafka_stream_password: SecretStr | None = None
    kafka_auditor_password: SecretStr | None = None
    s3_sink_principal: str | None = Field(
        default=None,
        description="who may write the archive: an access key id for versitygw, a role ARN for AWS",
    )
    s3_batch_principal: str | None = Field(default=None, description="who may read it, in the same terms")
    s3_sink_secret: SecretStr | None = Field(
        default=None, description="makes the principal an account of versitygw with this secret key"
    )
    s3_batch_secret: SecretStr | None = None
    cassandra_replication: str = Field(
        default="{'class': 'SimpleStrategy', 'replication_factor': 1}",
        description="the keyspace's replication map, in CQL",
    )
    cassandra_batch_password: SecretStr | None = None
    cassandra_auditor_password: SecretStr | None = None
    # Only the postgres step needs it: the others must run without.
    postgres_dsn: PostgresDsn | None = None
    postgres_stream_password: SecretStr | None = None
    postgres_exporter_password: SecretStr | None = None
    postgres_auditor_password: SecretStr | None = None

    @model_validator(mode="after")
    def _makes_accounts_where_somebody_logs_in(self) -> Self:
        accounts = ("ingest", "sink", "stream", "auditor")
        told = [
            name for account in accounts if getattr(self, name := f"kafka_{account}_password") is not None
        ]
        if told and self.kafka_password is None:
            raise ValueError(
                f"{', '.join(map(self.variable, told))}: accounts are made by one who logs in, set "
                f"{self.variable('kafka_security_protocol')}, {self.variable('kafka_username')} and "
                f"{self.variable('kafka_password')} too"
            )
        return self
