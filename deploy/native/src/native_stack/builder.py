"""Runs what builds.py names: side by side, with a log each, called off together."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from native_stack import cache
from native_stack.builds import Build
from native_stack.display import Display, Row
from native_stack.errors import BuildError
from native_stack.logs import last_line, tail
from native_stack.settings import NativeSettings

POLL_SECONDS = 0.2
STOP_SECONDS = 5


def build_all(builds: Sequence[Build], settings: NativeSettings, display: Display) -> None:
    """Leave every build checked in the cache; the first failure, or Ctrl-C, calls the others off."""
    if not builds:
        return
    cancel = threading.Event()
    rows = {build.name: Row("waiting") for build in builds}
    with ThreadPoolExecutor(len(builds)) as pool, display.open():
        try:
            futures = [pool.submit(_ensure, build, settings, rows, cancel) for build in builds]
            while not all(future.done() for future in futures):
                if any(future.done() and future.exception() for future in futures):
                    break
                display.show(_with_log_lines(rows, settings))
                time.sleep(POLL_SECONDS)
        finally:
            cancel.set()
        failures = [failure for future in futures if (failure := future.exception())]
        display.show(rows)
    for failure in failures:
        if not isinstance(failure, cache.Cancelled):
            raise failure


def _with_log_lines(rows: dict[str, Row], settings: NativeSettings) -> dict[str, Row]:
    return {
        name: row if row.done else Row(row.text, live=last_line(build_log(settings, name)))
        for name, row in rows.items()
    }


def build_log(settings: NativeSettings, name: str) -> Path:
    """Return where the output of a build goes."""
    return settings.log_dir / f"build-{name}.log"


def _ensure(build: Build, settings: NativeSettings, rows: dict[str, Row], cancel: threading.Event) -> None:
    started = time.monotonic()
    log = build_log(settings, build.name)
    made = threading.Event()

    def make(target: Path) -> None:
        rows[build.name] = Row(f"building {build.version}, log {log}")
        made.set()
        run(build, target, log, cancel)

    def say(text: str) -> None:
        rows[build.name] = Row(text)

    try:
        cache.ensure(build.entry(settings.cache_dir), make, pinned=build.pinned(), say=say, cancel=cancel)
    except BaseException:
        rows[build.name] = Row("called off" if cancel.is_set() else "failed", done=True)
        raise
    seconds = f"{time.monotonic() - started:.1f} s"
    rows[build.name] = Row(f"built in {seconds}" if made.is_set() else "intact in the cache", done=True)


def run(build: Build, target: Path, log: Path, cancel: threading.Event) -> None:
    """Run a build's command into the target folder; raise BuildError with the log's tail, or Cancelled."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            build.command(target),
            env=os.environ | build.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A group of its own: compilers started by the build end with it.
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                if cancel.wait(POLL_SECONDS):
                    raise cache.Cancelled
        finally:
            _end_group(process)
    if process.returncode:
        raise BuildError(
            f"building {build.name} {build.version} failed (exit {process.returncode}):\n"
            f"{tail(log)}\nThe whole log: {log}"
        )


def _end_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
