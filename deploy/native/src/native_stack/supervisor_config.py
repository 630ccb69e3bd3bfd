"""Writes supervisord.conf: one section a program."""

import hashlib
import os
import shlex
from collections.abc import Iterable, Mapping

from native_stack.errors import NativeError
from native_stack.program import Program
from native_stack.settings import NativeSettings

# A program that lives this long counts as started; one that does not is tried again after 1, 2, 3 … seconds.
START_SECONDS = 5
# Sums up to more than an hour: a full disk or a held port is often cured within that.
START_RETRIES = 100
STOP_SECONDS = 20
LOG_BYTES = "10MB"
LOG_BACKUPS = 3
DIGEST = "PINFLOW_INPUTS_SHA256"


def render(settings: NativeSettings, programs: Iterable[Program]) -> str:
    """Return the whole configuration."""
    return "\n".join([_supervisord(settings), *(_program(settings, program) for program in programs)])


def _supervisord(settings: NativeSettings) -> str:
    run = settings.run_dir
    lines = {
        "logfile": settings.log_dir / "supervisord.log",
        "logfile_maxbytes": LOG_BYTES,
        "logfile_backups": LOG_BACKUPS,
        "pidfile": run / "supervisord.pid",
        "umask": "077",
    }
    if os.geteuid() == 0:
        # Said aloud, or supervisord warns that it did not drop its privileges.
        lines["user"] = "root"
    socket = {"file": run / "supervisor.sock", "chmod": "0600"}
    factory = {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"}
    return "\n".join(
        [
            _section("supervisord", lines),
            _section("unix_http_server", socket),
            _section("rpcinterface:supervisor", factory),
        ]
    )


def _program(settings: NativeSettings, program: Program) -> str:
    environment = program.environment() | {DIGEST: _digest(program)}
    restarts = {"autorestart": "true", "startsecs": START_SECONDS}
    if program.one_shot:
        # Ending at once is not a failed start here; a refusal is final, anything else is tried again.
        exits = ",".join(str(code) for code in (0, *program.refusals))
        restarts = {"autorestart": "unexpected", "startsecs": 0, "exitcodes": exits}
    lines = {
        "command": shlex.join(program.command()),
        "directory": settings.state_dir,
        "environment": ",".join(f"{name}={_quoted(name, value)}" for name, value in environment.items()),
        "autostart": "false",
        **restarts,
        "startretries": START_RETRIES,
        "stopsignal": program.stop_signal,
        "stopwaitsecs": STOP_SECONDS,
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": program.log,
        "stdout_logfile_maxbytes": LOG_BYTES,
        "stdout_logfile_backups": LOG_BACKUPS,
    }
    return _section(f"program:{program.name}", lines)


def _section(name: str, lines: Mapping[str, object]) -> str:
    # supervisord expands %(…)s in values.
    escaped = (f"{key} = {str(value).replace('%', '%%')}\n" for key, value in lines.items())
    return f"[{name}]\n{''.join(escaped)}"


def _quoted(name: str, value: str) -> str:
    # supervisord has no escapes: it strips quotes at both ends, and a line ends at a comment.
    mangled = value != value.strip("'\"") or any(text in value for text in ("\n", " ;", " #"))
    quote = '"' if '"' not in value else "'"
    if mangled or quote in value:
        raise NativeError(
            f"the value of {name} holds a line break, ' #', ' ;', outer quotes or both kinds of quotes: "
            "supervisord would change it, so simplify it"
        )
    return f"{quote}{value}{quote}"


def _digest(program: Program) -> str:
    digest = hashlib.sha256()
    for path in program.inputs():
        digest.update(path.read_bytes())
    return digest.hexdigest()
