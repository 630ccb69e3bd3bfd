"""Settings groups: a service's settings class inherits the groups it needs and sets its own env prefix.

A field `kafka_bootstrap_servers` of a service with the prefix `SINK_` is read from
`SINK_KAFKA_BOOTSTRAP_SERVERS`, or from the file that `SINK_KAFKA_BOOTSTRAP_SERVERS_FILE` names, which is
how container secrets arrive.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, FilePath, PostgresDsn, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

EX_CONFIG = 78  # sysexits.h: a supervisor can tell a bad setting from a crash


class SettingsError(Exception):
    """The environment does not describe a runnable service; the message lists every variable at fault."""


class FileSettingsSource(PydanticBaseSettingsSource):
    """Reads the setting X from the file named by the variable X_FILE."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Return the stripped text of the field's file, or None when no file is named."""
        variable = f"{self.config['env_prefix']}{field_name}".upper()
        path = os.environ.get(f"{variable}_FILE")
        if path is None:
            return None, field_name, False
        if variable in os.environ:
            raise SettingsError(f"{variable} and {variable}_FILE are both set: set one of them")
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{variable}_FILE names {path}, which cannot be read: {error}") from error

    def __call__(self) -> dict[str, Any]:
        """Return the values of all fields that have a file."""
        values = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in values.items() if value is not None}


class Settings(BaseSettings):
    """Base of every settings class: environment variables, `*_FILE` variables, nothing else."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order: arguments, environment, files."""
        return init_settings, env_settings, FileSettingsSource(settings_cls)

    @classmethod
    def load(cls) -> Self:
        """Read the environment; raise SettingsError naming every variable that is missing or wrong."""
        try:
            return cls()
        except ValidationError as error:
            lines = [cls._complaint(item) for item in error.errors(include_input=False)]
            raise SettingsError("\n".join(lines)) from None

    @classmethod
    def _complaint(cls, item: ErrorDetails) -> str:
        message = item["msg"].removeprefix("Value error, ")
        # What concerns several variables names them itself.
        where = "_".join(str(part) for part in item["loc"])
        return f"{cls.variable(where)}: {message}" if where else message

    @classmethod
    def variable(cls, field: str) -> str:
        """Return the environment variable that sets a field."""
        return f"{cls.model_config['env_prefix']}{field}".upper()

    @classmethod
    def load_or_exit(cls) -> Self:
        """Read the environment, or print what is wrong with it and exit with EX_CONFIG."""
        try:
            return cls.load()
        except SettingsError as error:
            sys.stderr.write(f"{cls.__name__}: the environment does not fit:\n{error}\n")
            raise SystemExit(EX_CONFIG) from None


class KafkaSettings(Settings):
    """Where Kafka is, how to log in (SCRAM-SHA-512) and which topic carries the pins."""

    kafka_bootstrap_servers: str = "localhost:9092"
    kafka_topic: str = "pins"
    kafka_security_protocol: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"] = "PLAINTEXT"
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_ca_file: FilePath | None = Field(
        default=None, description="PEM of who signed the brokers' certificates; default: the system's trust"
    )

    @model_validator(mode="after")
    def _logs_in_as_the_protocol_says(self) -> Self:
        protocol, user, password = map(
            self.variable, ("kafka_security_protocol", "kafka_username", "kafka_password")
        )
        if not self.kafka_security_protocol.startswith("SASL"):
            if self.kafka_username or self.kafka_password:
                raise ValueError(
                    f"{user} or {password} is set, and with {protocol}={self.kafka_security_protocol} nobody "
                    "logs in: set it to SASL_SSL or SASL_PLAINTEXT"
                )
        elif not (self.kafka_username and self.kafka_password):
            raise ValueError(f"{protocol} is {self.kafka_security_protocol}: set {user} and {password} too")
        return self


class S3Settings(Settings):
    """Where the archive is. Without keys the SDK's own chain (instance role, profile) applies."""

    s3_bucket: str = "pinflow"
    s3_region: str = "us-east-1"
    s3_endpoint_url: Annotated[str, Field(pattern="^https?://.+")] | None = None
    s3_access_key_id: str | None = None
    s3_secret_access_key: SecretStr | None = None


class CassandraSettings(Settings):
    """Where the catalogue is, and how to log in."""

    cassandra_contact_points: str = Field(default="localhost", description="host names, comma-separated")
    cassandra_port: int = 9042
    # Of other names CQL, the driver and the table of rights each make something else.
    cassandra_keyspace: str = Field(default="pinterest", pattern="^[a-z][a-z0-9_]*$")
    cassandra_username: str | None = None
    cassandra_password: SecretStr | None = None
    cassandra_ca_file: FilePath | None = Field(
        default=None,
        description="PEM of who signed the nodes' certificates; when set, TLS is spoken, and every node's "
        "certificate must bear the name of the first contact point",
    )

    @model_validator(mode="after")
    def _logs_in_or_not(self) -> Self:
        if bool(self.cassandra_username) != bool(self.cassandra_password):
            user, password = map(self.variable, ("cassandra_username", "cassandra_password"))
            raise ValueError(f"set {user} and {password} both, or neither")
        return self


class PostgresSettings(Settings):
    """Where the live windows are; the DSN holds the password."""

    postgres_dsn: PostgresDsn


class SparkSettings(Settings):
    """Where Spark runs: in this process's own JVM (`local[…]`) or on a cluster."""

    spark_master: str = "local[*]"
    spark_driver_memory: str = Field(default="1g", pattern="^[0-9]+[mg]$", description="heap of the JVM")
    spark_ui_port: int | None = Field(
        default=None, ge=1, le=65535, description="port of Spark's own page; default: there is none"
    )
    spark_local_dir: Path | None = Field(default=None, description="scratch space; default: the system's")


class HttpSettings(Settings):
    """Where the service listens, for its routes, its health and its metrics."""

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8000, ge=0, le=65535, description="0 lets the system choose")
