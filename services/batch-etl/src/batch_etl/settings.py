"""The job's settings: every variable starts with BATCH_."""

from typing import Annotated

from pydantic import AfterValidator, Field, HttpUrl, SecretStr
from pydantic_settings import SettingsConfigDict
from service_runtime.settings import CassandraSettings, HttpSettings, S3Settings, SparkSettings


def _redis_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return url


class BatchSettings(S3Settings, CassandraSettings, SparkSettings, HttpSettings):
    """Where the job's neighbours are, and how long it waits for them."""

    model_config = SettingsConfigDict(env_prefix="BATCH_")

    kafka_topic: str = Field(
        default="pins", description="in the ledger, behind the bucket's name: which log was archived"
    )
    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] = Field(
        default=SecretStr("redis://localhost:6379/0"), description="for staging; may hold a password"
    )
    redis_ttl_seconds: int = Field(default=6 * 3600, ge=60, description="after which staged steps vanish")
    wait_seconds: float = Field(default=300.0, gt=0, description="for what is away, before it gives up")
    pushgateway_url: HttpUrl | None = Field(default=None, description="where metrics go at the end")
    pushgateway_password: SecretStr | None = Field(
        default=None, description="of the account batch-etl there; none where anybody may write"
    )
    # With 32 a node on two busy cores has dropped or refused some.
    write_in_flight: int = Field(default=8, ge=1, description="Cassandra batches unanswered in each task")
    http_port: int = Field(default=0, ge=0, le=65535, description="0 lets the system choose")
