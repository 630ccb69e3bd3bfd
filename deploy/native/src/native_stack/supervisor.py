"""Talks to one supervisord: its configuration, its life, and the states of its programs."""

import contextlib
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from native_stack.credentials import write_private
from native_stack.errors import NativeError
from native_stack.processes import of_session
from native_stack.settings import NativeSettings

ANSWER_SECONDS = 10
POLL_SECONDS = 0.05


class State(IntEnum):
    """Supervisor's own process states and their numbers."""

    STOPPED = 0
    STARTING = 10
    RUNNING = 20
    BACKOFF = 30
    STOPPING = 40
    EXITED = 100
    FATAL = 200
    UNKNOWN = 1000


@dataclass(frozen=True)
class ProcessInfo:
    """What supervisord says of one program."""

    state: State
    pid: int
    exit_status: int
    started_at: int
    stopped_at: int

    @property
    def up(self) -> bool:
        """Whether it runs, is about to, or is being retried."""
        return self.state in {State.STARTING, State.RUNNING, State.BACKOFF}

    @property
    def finished(self) -> bool:
        """Whether it ended by itself and is content."""
        return self.state is State.EXITED and self.exit_status == 0


class Supervisor:
    """The supervisord of one stack, by its unix socket."""

    def __init__(self, settings: NativeSettings) -> None:
        self._settings = settings
        self._config = settings.run_dir / "supervisord.conf"
        self._socket = settings.run_dir / "supervisor.sock"
        self._pid_file = settings.run_dir / "supervisord.pid"

    def running(self) -> bool:
        """Return whether a supervisord answers on the socket."""
        try:
            with self._rpc() as rpc:
                return bool(rpc.supervisor.getState())
        except (OSError, xmlrpc.client.Error):
            return False

    def processes(self) -> list[psutil.Process]:
        """Return supervisord and all it started, also after its own violent end."""
        try:
            pid = int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return []
        return of_session(pid, self._settings.state_dir)

    def configure(self, text: str) -> None:
        """Write the configuration; `start` or `apply` makes it count."""
        self._settings.log_dir.mkdir(parents=True, exist_ok=True)
        write_private(self._config, text)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start a supervisord that outlives this process; none of its programs runs yet."""
        result = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config)],
            env=environment,
            # By this, and by its session, its processes are found again (processes.py).
            cwd=self._settings.state_dir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
        )
        if result.returncode:
            raise NativeError(f"supervisord does not start: {result.stdout.strip()}")
        give_up = time.monotonic() + ANSWER_SECONDS
        while not self.running():
            if time.monotonic() > give_up:
                raise NativeError(
                    f"supervisord does not answer, see {self._settings.log_dir}/supervisord.log"
                )
            time.sleep(POLL_SECONDS)

    def apply(self) -> None:
        """Take over a changed configuration: programs that changed are stopped and known anew."""
        with self._rpc() as rpc:
            ((added, changed, removed),) = rpc.supervisor.reloadConfig()
            for name in [*changed, *removed]:
                rpc.supervisor.stopProcessGroup(name)
                rpc.supervisor.removeProcessGroup(name)
            for name in [*added, *changed]:
                rpc.supervisor.addProcessGroup(name)

    def infos(self) -> dict[str, ProcessInfo]:
        """Return every program supervisord knows; nothing when it does not run."""
        try:
            with self._rpc() as rpc:
                return {item["name"]: _info(item) for item in rpc.supervisor.getAllProcessInfo()}
        except (OSError, xmlrpc.client.Error):
            return {}

    def start_program(self, name: str) -> None:
        """Start a program without waiting for it."""
        try:
            with self._rpc() as rpc:
                rpc.supervisor.startProcess(name, False)
        except xmlrpc.client.Fault as fault:
            raise NativeError(
                f"{name} cannot be started: {fault.faultString}. Is everything installed (`uv sync`)?"
            ) from fault

    def stop_programs(self, names: Collection[str]) -> None:
        """Stop programs side by side and wait until they are gone; those that do not run are left alone."""
        with self._rpc() as rpc:
            for name in names:
                # The fault says that it does not run, or is unknown.
                with contextlib.suppress(xmlrpc.client.Fault):
                    rpc.supervisor.stopProcess(name, False)
        while any(info.pid for name, info in self.infos().items() if name in names):
            time.sleep(POLL_SECONDS)

    def shutdown(self) -> None:
        """Ask supervisord to end, with what still runs."""
        with self._rpc() as rpc:
            rpc.supervisor.shutdown()

    @contextlib.contextmanager
    def _rpc(self) -> Iterator[Any]:
        if not self._socket.exists():
            raise ConnectionRefusedError(f"{self._socket} does not exist")
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
            yield proxy


def _info(item: Mapping[str, Any]) -> ProcessInfo:
    return ProcessInfo(
        state=State(item["state"]),
        pid=item["pid"],
        exit_status=item["exitstatus"],
        started_at=item["start"],
        stopped_at=item["stop"],
    )
