"""The programs of the stack, in flow order. A new one is one short class in services.py or servers/."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from native_stack.credentials import S3_BATCH_KEY_ID, S3_ROOT_KEY_ID, S3_SINK_KEY_ID
from native_stack.errors import NativeError
from native_stack.jobs import JOBS
from native_stack.observers import OBSERVERS
from native_stack.program import Program, wheel_dir
from native_stack.servers.cassandra import Cassandra
from native_stack.servers.kafka import Kafka
from native_stack.servers.postgres import Postgres, dsn_file
from native_stack.servers.redis import Redis
from native_stack.servers.s3 import S3
from native_stack.services import BUCKET, IngestApi, S3Sink, Script, StreamEtl

# Exit codes of `migrate` that mean "no, and trying again changes nothing" (migrations/errors.py, EX_CONFIG).
MIGRATE_REFUSALS = (3, 4, 78)


class Migrate(Script):
    """Topics, bucket, keyspace and tables: runs until all servers of this stack have theirs."""

    name = "migrate"
    purpose = "topics, bucket, tables"
    prefix = "MIGRATE"
    one_shot = True
    refusals = MIGRATE_REFUSALS
    steps: ClassVar[dict[str, str]] = {
        Kafka.name: "kafka",
        S3.name: "bucket",
        Cassandra.name: "cassandra",
        Postgres.name: "postgres",
    }

    def command(self) -> list[str]:
        """Return the console script and the steps of the servers in this stack."""
        steps = [step for server, step in self.steps.items() if server in self.context.programs]
        if not steps:
            raise NativeError(
                f"migrate has nothing to do: start it together with one of {', '.join(self.steps)}"
            )
        if len(steps) == len(self.steps):
            steps = ["all"]
        return [*super().command(), *steps]

    def told(self) -> dict[str, str]:
        """Return where the servers are, and the keys to change them."""
        known = self.context.credentials
        return super().told() | {
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_address,
            "S3_ENDPOINT_URL": self.settings.s3_url,
            "S3_BUCKET": BUCKET,
            "S3_ACCESS_KEY_ID": S3_ROOT_KEY_ID,
            "S3_SECRET_ACCESS_KEY_FILE": str(known.s3_root_secret_file),
            "S3_SINK_PRINCIPAL": S3_SINK_KEY_ID,
            "S3_SINK_SECRET_FILE": str(known.s3_sink_secret_file),
            "S3_BATCH_PRINCIPAL": S3_BATCH_KEY_ID,
            "S3_BATCH_SECRET_FILE": str(known.s3_batch_secret_file),
            "CASSANDRA_CONTACT_POINTS": "127.0.0.1",
            "CASSANDRA_PORT": str(self.settings.cassandra_port),
            "POSTGRES_DSN_FILE": str(dsn_file(self.context)),
        }

    def inputs(self) -> Iterable[Path]:
        """Return the migrations: a new one must run on a stack that is up."""
        package = wheel_dir("migrations")
        return sorted(path for path in package.rglob("*") if path.suffix in {".py", ".cql", ".sql", ".toml"})


SERVICES: tuple[type[Program], ...] = (IngestApi, S3Sink, StreamEtl)
PROGRAMS: tuple[type[Program], ...] = (Kafka, S3, Cassandra, Postgres, Redis, Migrate, *SERVICES)
ALL: tuple[type[Program], ...] = (*PROGRAMS, *OBSERVERS)


def by_name(name: str, among: Sequence[type[Program]] = ALL) -> type[Program]:
    """Return the class of a program or a job; raise NativeError naming those that exist."""
    for program in among:
        if program.name == name:
            return program
    known = ", ".join(program.name for program in among)
    raise NativeError(f"there is no program {name!r}: choose among {known}")


def variable_prefix(program: type[Program]) -> str | None:
    """Return the prefix of the variables a person may set for a program, or None."""
    return f"{program.prefix}_" if issubclass(program, Script) else None


def without_program_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment from which no program hears anything that it is not told by name."""
    prefixes = tuple(prefix for program in (*PROGRAMS, *JOBS) if (prefix := variable_prefix(program)))
    return {name: value for name, value in environment.items() if not name.startswith(prefixes)}
