"""Finds the processes of one stack, also when their supervisor is gone, and ends them.

Ours are those of supervisord's session that stand in the state directory. Their environment is no help: Redis
and PostgreSQL overwrite it with their titles. A shell or an editor in the directory has another session.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

GRACE_SECONDS = 15
POLL_SECONDS = 0.05


def of_session(supervisor_pid: int, state_dir: Path) -> list[psutil.Process]:
    """Return the processes that a supervisord started for a state directory, itself and theirs included."""
    found: set[psutil.Process] = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            ours = os.getsid(process.pid) == supervisor_pid and Path(process.cwd()).is_relative_to(state_dir)
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                # PostgreSQL's children open sessions of their own.
                found.update([process, *process.children(recursive=True)])
    return list(found)


def end(processes: Iterable[psutil.Process]) -> None:
    """End processes: asked first, killed when they do not listen."""
    processes = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
            # A suspended process hears nothing until it goes on.
            process.resume()
    kill(still_alive(processes, GRACE_SECONDS), GRACE_SECONDS)


def kill(processes: Iterable[psutil.Process], seconds: float) -> None:
    """Send SIGKILL to processes in this order, and wait until they are gone, for so many seconds at most."""
    processes = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    still_alive(processes, seconds)


def still_alive(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until the processes are gone; return those that are not after so many seconds."""
    give_up = time.monotonic() + seconds
    while (alive := [process for process in processes if _alive(process)]) and time.monotonic() < give_up:
        time.sleep(POLL_SECONDS)
    return alive


def _alive(process: psutil.Process) -> bool:
    try:
        # In a container whose first process reaps nobody, a zombie stays for ever.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a program and to what it started: supervisord gives each a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
