"""The service's settings: every variable starts with INGEST_."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict
from service_runtime.settings import HttpSettings, KafkaSettings

from ingest_api.admission import BULK_SHARE


class IngestSettings(KafkaSettings, HttpSettings):
    """Limits in bytes and seconds; the defaults fit one core."""

    model_config = SettingsConfigDict(env_prefix="INGEST_")

    ack_timeout_seconds: float = Field(
        default=4.0, gt=0, le=5, description="a pin not acknowledged by then is answered with 503"
    )
    body_timeout_seconds: float = Field(default=10.0, gt=0, description="for the client to send its body")
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=64 * 1024, description="of POST /pins")
    max_pins: int = Field(default=10_000, ge=1, description="in one POST /pins")
    queue_max_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=64 * 1024,
        description="of bodies being read and pins awaiting their ack; beyond 429",
    )
    batch_max_bytes: int = Field(default=256 * 1024, ge=64 * 1024, description="of one Kafka batch")
    compression: Literal["none", "lz4", "zstd"] = "zstd"

    @model_validator(mode="after")
    def _a_largest_body_can_be_admitted(self) -> Self:
        if self.max_body_bytes > self.queue_max_bytes * BULK_SHARE:
            body, queue = map(self.variable, ("max_body_bytes", "queue_max_bytes"))
            raise ValueError(
                f"{body} is {self.max_body_bytes}, more than {BULK_SHARE:.0%} of {queue}: such a body would "
                "never be admitted; lower the one or raise the other"
            )
        return self
