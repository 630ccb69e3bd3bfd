"""The programs of the stack, in flow order. A new one is one short class in services.py or servers/."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from native_stack import builds
from native_stack.credentials import S3_BATCH_KEY_ID, S3_ROOT_KEY_ID, S3_SINK_KEY_ID
from native_stack.errors import NativeError
from native_stack.jobs import JOBS
from native_stack.program import Program, wheel_dir
from native_stack.servers.cassandra import Cassandra
from native_stack.servers.kafka import Kafka
from native_stack.servers.postgres import Postgres, dsn_file
from native_stack.servers.redis import Redis
from native_stack.servers.s3 import S3, binary
from native_stack.services import BUCKET, IngestApi, S3Sink, Script, StreamEtl, console_script

# Exit codes of `migrate` that mean "no, and trying again changes nothing" (migrations/errors.py, EX_CONFIG).
MIGRATE_REFUSALS = (3, 4, 78)


class Migrate(Program):
    """Topics, bucket, keyspace and tables: runs until all servers of this stack have theirs."""

    name = "migrate"
    purpose = "topics, bucket, tables"
    builds = (builds.VERSITYGW,)
    one_shot = True
    refusals = MIGRATE_REFUSALS
    steps: ClassVar[dict[str, str]] = {
        Kafka.name: "kafka",
        S3.name: "bucket",
        Cassandra.name: "cassandra",
        Postgres.name: "postgres",
    }

    def command(self) -> list[str]:
        """Return the one-shot that makes the S3 accounts and then runs the steps."""
        steps = [step for server, step in self.steps.items() if server in self.context.programs]
        if not steps:
            raise NativeError(
                f"migrate has nothing to do: start it together with one of {', '.join(self.steps)}"
            )
        if len(steps) == len(self.steps):
            steps = ["all"]
        known = self.context.credentials
        secrets = [str(known.s3_sink_secret_file), str(known.s3_batch_secret_file)]
        one_shot = [sys.executable, "-m", "native_stack.migrate", str(binary(self.context)), *secrets]
        return [*one_shot, console_script("migrate"), *steps]

    def own_environment(self) -> dict[str, str]:
        """Return where the servers are, and the keys to change them."""
        told = {"KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_address} | {
            "LOG_LEVEL": self.settings.log_level,
            "S3_ENDPOINT_URL": self.settings.s3_url,
            "S3_BUCKET": BUCKET,
            "S3_ACCESS_KEY_ID": S3_ROOT_KEY_ID,
            "S3_SECRET_ACCESS_KEY_FILE": str(self.context.credentials.s3_root_secret_file),
            "S3_SINK_PRINCIPAL": S3_SINK_KEY_ID,
            "S3_BATCH_PRINCIPAL": S3_BATCH_KEY_ID,
            "CASSANDRA_CONTACT_POINTS": "127.0.0.1",
            "CASSANDRA_PORT": str(self.settings.cassandra_port),
            "POSTGRES_DSN_FILE": str(dsn_file(self.context)),
        }
        return {f"MIGRATE_{name}": value for name, value in told.items()}

    def inputs(self) -> Iterable[Path]:
        """Return the migrations: a new one must run on a stack that is up."""
        package = wheel_dir("migrations")
        return sorted(path for path in package.rglob("*") if path.suffix in {".py", ".cql", ".sql", ".toml"})


SERVICES: tuple[type[Program], ...] = (IngestApi, S3Sink, StreamEtl)
PROGRAMS: tuple[type[Program], ...] = (Kafka, S3, Cassandra, Postgres, Redis, Migrate, *SERVICES)


def by_name(name: str, among: Sequence[type[Program]] = PROGRAMS) -> type[Program]:
    """Return the class of a program or a job; raise NativeError naming those that exist."""
    for program in among:
        if program.name == name:
            return program
    known = ", ".join(program.name for program in among)
    raise NativeError(f"there is no program {name!r}: choose among {known}")


def variable_prefix(program: type[Program]) -> str | None:
    """Return the prefix of the variables a person may set for a program, or None."""
    if issubclass(program, Script):
        return f"{program.prefix}_"
    return "MIGRATE_" if program is Migrate else None


def without_program_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment from which no program hears anything that it is not told by name."""
    prefixes = tuple(prefix for program in (*PROGRAMS, *JOBS) if (prefix := variable_prefix(program)))
    return {name: value for name, value in environment.items() if not name.startswith(prefixes)}
