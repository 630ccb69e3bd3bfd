"""Keys and passwords of one stack: made once, kept in files that only their owner can read."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

S3_ROOT_KEY_ID = "pinflow-root"
S3_SINK_KEY_ID = "pinflow-sink"
S3_BATCH_KEY_ID = "pinflow-batch"


@dataclass(frozen=True)
class Credentials:
    """The secrets of one stack, by file; a file is made when it is first read."""

    directory: Path

    @property
    def s3_root_secret_file(self) -> Path:
        """The secret key of the S3 server's root account."""
        return self._made("s3-root-secret-key")

    @property
    def s3_sink_secret_file(self) -> Path:
        """The secret key of the account that s3-sink writes with."""
        return self._made("s3-sink-secret-key")

    @property
    def s3_batch_secret_file(self) -> Path:
        """The secret key of the account that batch-etl reads with."""
        return self._made("s3-batch-secret-key")

    @property
    def postgres_password_file(self) -> Path:
        """The password of PostgreSQL's only role."""
        return self._made("postgres-password")

    def _made(self, name: str) -> Path:
        path = self.directory / name
        if not path.exists():
            write_private(path, secrets.token_hex(24))
        return path


def write_private(path: Path, text: str) -> None:
    """Write a file, whole or not at all, that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)
