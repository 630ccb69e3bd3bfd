"""The demo's settings: every variable starts with DEMO_."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from service_runtime.settings import CassandraSettings, KafkaSettings, PostgresSettings, S3Settings


class DemoSettings(KafkaSettings, S3Settings, CassandraSettings, PostgresSettings):
    """Where the line is; accounts that may read are enough."""

    model_config = SettingsConfigDict(env_prefix="DEMO_")

    ingest_url: str = "http://127.0.0.1:8000"
    run_file: Path = Field(description="what `post` leaves for `check`")
