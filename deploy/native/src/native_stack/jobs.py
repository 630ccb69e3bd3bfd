"""Jobs: what the stack does not keep running but can start, `native run`, with all its variables."""

from native_stack.credentials import S3_BATCH_KEY_ID
from native_stack.observers import Pushgateway
from native_stack.servers.postgres import dsn_file
from native_stack.services import BUCKET, Script, SparkScript


class BatchEtl(SparkScript):
    """Archive in, Cassandra out."""

    name = "batch-etl"
    purpose = "loads the archive into the catalogue"
    prefix = "BATCH"

    def told(self) -> dict[str, str]:
        """Return where the archive, the catalogue and the staging are."""
        told = super().told() | {
            "S3_ENDPOINT_URL": self.settings.s3_url,
            "S3_BUCKET": BUCKET,
            "S3_ACCESS_KEY_ID": S3_BATCH_KEY_ID,
            "S3_SECRET_ACCESS_KEY_FILE": str(self.context.credentials.s3_batch_secret_file),
            "CASSANDRA_CONTACT_POINTS": "127.0.0.1",
            "CASSANDRA_PORT": str(self.settings.cassandra_port),
            "REDIS_URL": f"redis://127.0.0.1:{self.settings.redis_port}/0",
        }
        if Pushgateway.name in self.context.programs:
            told["PUSHGATEWAY_URL"] = f"http://{Pushgateway(self.context).address}"
        return told


class Demo(Script):
    """The reference dataset in, what arrived where out."""

    name = "pinflow-demo"
    purpose = "shows that all of a dataset arrives"
    prefix = "DEMO"

    def told(self) -> dict[str, str]:
        """Return where every store is, and accounts that may read them."""
        return super().told() | {
            "INGEST_URL": self.settings.ingest_url,
            "RUN_FILE": str(self.data_dir / "run.json"),
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_address,
            "S3_ENDPOINT_URL": self.settings.s3_url,
            "S3_BUCKET": BUCKET,
            "S3_ACCESS_KEY_ID": S3_BATCH_KEY_ID,
            "S3_SECRET_ACCESS_KEY_FILE": str(self.context.credentials.s3_batch_secret_file),
            "CASSANDRA_CONTACT_POINTS": "127.0.0.1",
            "CASSANDRA_PORT": str(self.settings.cassandra_port),
            "POSTGRES_DSN_FILE": str(dsn_file(self.context)),
        }


JOBS: tuple[type[Script], ...] = (BatchEtl, Demo)
