"""The stack's one-shot: makes the accounts on the S3 server, then becomes `migrate`.

Run as: python -m native_stack.migrate VERSITYGW SINK_SECRET_FILE BATCH_SECRET_FILE MIGRATE STEP…, with the
variables of `migrate`.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from migrations.progress import configure_log, log
from migrations.settings import MigrateSettings

RETRY_SECONDS = 1.0
EXISTS = "XAdminUserExists"


def make_user(versitygw: Path, settings: MigrateSettings, name: str, secret: str) -> str | None:
    """Make an account or give it its secret again; return why that did not work, or None."""
    user = ["-a", name, "-s", secret, "-r", "user"]
    problem = _admin(versitygw, settings, ["create-user", *user])
    if problem and EXISTS in problem:
        problem = _admin(versitygw, settings, ["update-user", *user])
    return problem


def _admin(versitygw: Path, settings: MigrateSettings, arguments: list[str]) -> str | None:
    root_secret = settings.s3_secret_access_key
    environment = {
        "ADMIN_ACCESS_KEY_ID": str(settings.s3_access_key_id),
        "ADMIN_SECRET_ACCESS_KEY": root_secret.get_secret_value() if root_secret else "",
        "ADMIN_ENDPOINT_URL": str(settings.s3_endpoint_url),
    }
    result = subprocess.run(  # noqa: S603
        [str(versitygw), "admin", *arguments], env=environment, check=False, capture_output=True, text=True
    )
    return f"{result.stdout}{result.stderr}".strip() if result.returncode else None


def main(arguments: list[str]) -> None:
    """Make the accounts, however long the server takes to come, then run the migrations."""
    versitygw, sink_secret, batch_secret, script, *steps = arguments
    configure_log()
    log.info("starting", steps=steps)
    settings = MigrateSettings.load_or_exit()
    if {"all", "bucket"} & set(steps):
        for name, secret_file in (
            (settings.s3_sink_principal, sink_secret),
            (settings.s3_batch_principal, batch_secret),
        ):
            secret = Path(secret_file).read_text(encoding="utf-8")
            while problem := make_user(Path(versitygw), settings, str(name), secret):
                log.info("waiting for the S3 server, to make an account", name=name, because=problem)
                time.sleep(RETRY_SECONDS)
    os.execv(script, [script, *steps])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
