"""What of the stack is ours: console scripts, each told everything by variables with its own prefix."""

import sys
from pathlib import Path
from typing import ClassVar

from native_stack import builds, probes
from native_stack.credentials import S3_SINK_KEY_ID
from native_stack.program import Program
from native_stack.requirements import java_home
from native_stack.servers.postgres import dsn_file

BUCKET = "pinflow"


class Script(Program):
    """A console script that reads its own prefix of the environment."""

    prefix: ClassVar[str]

    def command(self) -> list[str]:
        """Return the console script of the same name."""
        return [console_script(self.name)]

    def own_environment(self) -> dict[str, str]:
        """Return its settings as variables."""
        return {f"{self.prefix}_{name}": value for name, value in self.told().items()}

    def told(self) -> dict[str, str]:
        """Return its settings, without the prefix."""
        return {"LOG_LEVEL": self.settings.log_level}


class Service(Script):
    """A script that runs until it is ended, and says over HTTP how it is."""

    def told(self) -> dict[str, str]:
        """Return its settings, and where it listens."""
        return super().told() | {"HTTP_HOST": "127.0.0.1", "HTTP_PORT": str(self.port)}

    def probe(self) -> None:
        """Ask its readiness, which names the dependency it waits for."""
        probes.service_ready(self.port)


class SparkScript(Script):
    """A script with a Spark of its own, sized for a machine that runs all the rest too."""

    def own_environment(self) -> dict[str, str]:
        """Return its settings, and what Spark itself reads."""
        # Without SPARK_LOCAL_IP Spark listens on the machine's outer address.
        return super().own_environment() | {"JAVA_HOME": str(java_home()), "SPARK_LOCAL_IP": "127.0.0.1"}

    def told(self) -> dict[str, str]:
        """Return its settings, and how much Spark may take."""
        return super().told() | {
            "SPARK_MASTER": "local[2]",
            "SPARK_DRIVER_MEMORY": "1g",
            "SPARK_LOCAL_DIR": str(self.scratch_dir),
        }

    @property
    def scratch_dir(self) -> Path:
        """Where Spark spills; nothing in it is needed after a restart."""
        return self.data_dir / "spark"

    def prepare(self) -> None:
        """Make Spark's scratch directory."""
        self.scratch_dir.mkdir(parents=True, exist_ok=True)


class IngestApi(Service):
    """HTTP in, Kafka out."""

    name = "ingest-api"
    purpose = "takes pins over HTTP"
    ports = ("ingest_port",)
    prefix = "INGEST"

    def told(self) -> dict[str, str]:
        """Return where Kafka is."""
        return super().told() | {"KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_address}


class S3Sink(Service):
    """Kafka in, archive out."""

    name = "s3-sink"
    purpose = "archives the topic"
    ports = ("sink_port",)
    prefix = "SINK"

    def told(self) -> dict[str, str]:
        """Return where Kafka and the archive are; flushes come early so that a demo shows objects soon."""
        return super().told() | {
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_address,
            "S3_ENDPOINT_URL": self.settings.s3_url,
            "S3_BUCKET": BUCKET,
            "S3_ACCESS_KEY_ID": S3_SINK_KEY_ID,
            "S3_SECRET_ACCESS_KEY_FILE": str(self.context.credentials.s3_sink_secret_file),
            "FLUSH_MAX_SECONDS": "2",
        }


class StreamEtl(SparkScript, Service):
    """Kafka in, PostgreSQL out."""

    name = "stream-etl"
    purpose = "keeps the live windows"
    ports = ("stream_port",)
    builds = (builds.SPARK,)
    prefix = "STREAM"

    def told(self) -> dict[str, str]:
        """Return where Kafka, PostgreSQL, the connector's jars and the checkpoints are."""
        return super().told() | {
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_address,
            "POSTGRES_DSN_FILE": str(dsn_file(self.context)),
            "SPARK_JARS_DIR": str(builds.SPARK.entry(self.settings.cache_dir)),
            "CHECKPOINT_DIR": str(self.checkpoint_dir),
        }

    @property
    def checkpoint_dir(self) -> Path:
        """Where the query keeps how far it has come."""
        return self.data_dir / "checkpoints"

    def prepare(self) -> None:
        """Make its directories."""
        super().prepare()
        self.checkpoint_dir.mkdir(parents=True, exist_ok=True)


def console_script(name: str) -> str:
    """Return the path of a console script of the environment we run in."""
    return str(Path(sys.executable).parent / name)
