"""Jobs: what the stack does not keep running but can start, `native run`, with all its variables."""

from native_stack.credentials import S3_BATCH_KEY_ID
from native_stack.services import BUCKET, SparkScript


class BatchEtl(SparkScript):
    """Archive in, Cassandra out."""

    name = "batch-etl"
    purpose = "loads the archive into the catalogue"
    prefix = "BATCH"

    def told(self) -> dict[str, str]:
        """Return where the archive, the catalogue and the staging are."""
        return super().told() | {
            "S3_ENDPOINT_URL": self.settings.s3_url,
            "S3_BUCKET": BUCKET,
            "S3_ACCESS_KEY_ID": S3_BATCH_KEY_ID,
            "S3_SECRET_ACCESS_KEY_FILE": str(self.context.credentials.s3_batch_secret_file),
            "CASSANDRA_CONTACT_POINTS": "127.0.0.1",
            "CASSANDRA_PORT": str(self.settings.cassandra_port),
            "REDIS_URL": f"redis://127.0.0.1:{self.settings.redis_port}/0",
        }


JOBS: tuple[type[SparkScript], ...] = (BatchEtl,)
