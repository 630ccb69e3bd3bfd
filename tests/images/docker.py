"""The docker command, with the environment that shows it its plugins."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class DockerError(Exception):
    """A docker command failed; the message holds the end of what it said."""


LONGEST_OUTPUT = 4000


@dataclass(frozen=True)
class Docker:
    """Runs docker; `environment` is added to that of the process."""

    environment: Mapping[str, str] = field(default_factory=dict)

    def with_environment(self, added: Mapping[str, str]) -> "Docker":
        """Return one whose environment holds these too."""
        return Docker({**self.environment, **added})

    def run(self, *arguments: str, timeout: float | None = None, stdin: Path | None = None) -> str:
        """Run `docker …` and return its stdout; raise DockerError when it fails or takes too long."""
        done = self.attempt(*arguments, timeout=timeout, stdin=stdin)
        if done.returncode:
            said = f"{done.stdout}{done.stderr}".strip()[-LONGEST_OUTPUT:]
            raise DockerError(f"docker {arguments[0]} failed (exit {done.returncode}):\n{said}")
        return done.stdout

    def attempt(
        self, *arguments: str, timeout: float | None = None, stdin: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker …` and return what became of it; raise DockerError only when it takes too long."""
        environment = os.environ | dict(self.environment)
        with (stdin or Path(os.devnull)).open("rb") as file:
            try:
                return subprocess.run(
                    ["docker", *arguments],
                    env=environment,
                    stdin=file,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=timeout,
                )
            except subprocess.TimeoutExpired as error:
                raise DockerError(f"docker {arguments[0]} took longer than {timeout:.0f} s") from error

    def works(self, *arguments: str, timeout: float = 20) -> bool:
        """Say whether `docker …` succeeds within that time."""
        try:
            return self.attempt(*arguments, timeout=timeout).returncode == 0
        except (DockerError, FileNotFoundError):
            return False
