"""Who listens on a port that a program of ours needs."""

import socket
from collections.abc import Mapping

import psutil

from native_stack.errors import PortTakenError
from native_stack.settings import NativeSettings

LONGEST_COMMAND = 70


def require_free(settings: NativeSettings, program: str, ports: Mapping[str, int]) -> None:
    """Raise PortTakenError, naming the holder and the way out, unless the program can bind all its ports."""
    for field, port in ports.items():
        if not _can_bind(port):
            raise PortTakenError(
                f"{program} needs port {port}, which is in use by {_holder(port)}: "
                f"end that process, or set {settings.variable(field)} to a free port"
            )


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        # Connections that wait out TIME_WAIT do not hinder a server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _holder(port: int) -> str:
    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
            continue
        if connection.laddr.port == port:
            return f"pid {connection.pid} ({_command(connection.pid)})"
    return "a process of another user"


def _command(pid: int) -> str:
    try:
        command = " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return "it ended just now"
    return command if len(command) <= LONGEST_COMMAND else command[:LONGEST_COMMAND] + "…"
