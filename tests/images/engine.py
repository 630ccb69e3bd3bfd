"""The Docker engine for tests: the one that runs, or one of our own while the tests last."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from native_stack.logs import tail

from images.docker import Docker

START_SECONDS = 60
STOP_SECONDS = 60
INSTALL_SECONDS = 600
POLL_SECONDS = 0.5


class EngineUnavailableError(Exception):
    """There is no Docker engine and none can be started; the message says why."""


@contextmanager
def running_engine(log_dir: Path) -> Iterator[None]:
    """Have an engine while the block runs: one that runs is used and left alone, one started here is stopped.

    Images and caches stay on disk, in the engine's usual directory. Raises EngineUnavailableError.
    """
    if not answers() and not shutil.which("dockerd"):
        _install()
    # Debian may have started the one it installed; that one is the machine's.
    daemon = None if answers() else _start(log_dir / "dockerd.log")
    try:
        yield
    finally:
        if daemon:
            _stop(daemon)


def answers() -> bool:
    """Say whether an engine runs."""
    return Docker().works("info")


def _start(log: Path) -> subprocess.Popen[bytes]:
    if os.geteuid() != 0:
        raise EngineUnavailableError("no Docker engine answers to this user, and only root can start one")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is for the tests, which stop it when they are done.
        daemon = subprocess.Popen(
            ["dockerd", "--pidfile", str(log.with_name("dockerd.pid"))],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if daemon.poll() is not None or time.monotonic() > deadline:
            _stop(daemon)
            raise EngineUnavailableError(f"dockerd did not come up:\n{tail(log)}\nThe whole log: {log}")
        time.sleep(POLL_SECONDS)
    return daemon


def _install() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise EngineUnavailableError("no Docker engine is installed, and only root on Debian can install one")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "docker.io"]):
        done = subprocess.run(
            ["apt-get", "-qq", *arguments],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
        if done.returncode:
            raise EngineUnavailableError(f"apt-get could not install docker.io: {done.stderr.strip()}")


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
