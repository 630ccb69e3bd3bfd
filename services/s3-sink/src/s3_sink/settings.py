"""The service's settings: every variable starts with SINK_."""

import socket

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from service_runtime.settings import HttpSettings, KafkaSettings, S3Settings


class SinkSettings(KafkaSettings, S3Settings, HttpSettings):
    """Limits in bytes and seconds."""

    model_config = SettingsConfigDict(env_prefix="SINK_", env_ignore_empty=True)

    kafka_group: str = "s3-sink"
    kafka_instance: str = Field(
        default_factory=socket.gethostname, description="name of this member; unique in the group"
    )
    kafka_dead_letter_topic: str = "pins.dead-letter"
    flush_max_bytes: int = Field(
        default=16 * 1024 * 1024, ge=1024, description="of uncompressed lines in one object"
    )
    flush_max_seconds: float = Field(default=60.0, gt=0, description="age at which an object is cut")
    buffer_max_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=4 * 1024 * 1024,
        description="of all that is read and not yet stored; beyond it reading stops",
    )
    archive_expire_days: int | None = Field(
        default=None, ge=1, description="age at which the bucket deletes objects; default: it keeps them"
    )
    fetch_max_bytes: int = Field(default=4 * 1024 * 1024, ge=1024 * 1024, description="of one fetch")
    stall_seconds: float = Field(
        default=60.0, gt=0, description="with a backlog but nothing read for so long the process exits"
    )
    drain_seconds: float = Field(default=10.0, gt=0, description="to store what is buffered on SIGTERM")
    compression_level: int = Field(default=3, ge=1, le=19, description="of zstd")
