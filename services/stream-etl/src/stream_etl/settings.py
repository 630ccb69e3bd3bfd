"""The service's settings: every variable starts with STREAM_."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from service_runtime.settings import HttpSettings, KafkaSettings, PostgresSettings, SparkSettings


class StreamSettings(KafkaSettings, PostgresSettings, SparkSettings, HttpSettings):
    """Limits in records and seconds."""

    model_config = SettingsConfigDict(env_prefix="STREAM_")

    spark_jars_dir: Path = Field(description="holds the jars of Spark's Kafka connector")
    checkpoint_dir: Path = Field(description="where the queries keep how far they are; must survive restarts")
    trigger_seconds: float = Field(default=0.5, ge=0, description="from one batch's start to the next one's")
    batch_max_records: int = Field(default=5_000, ge=1, description="of one batch, and so of one transaction")
    stall_seconds: float = Field(
        default=60.0, gt=0, description="when Spark answers nothing for so long the process exits"
    )
