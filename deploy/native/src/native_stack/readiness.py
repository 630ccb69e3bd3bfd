"""Waits until programs do their work, and notices those that never will."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from native_stack.display import Display, Row
from native_stack.errors import NativeError, NotReadyInTimeError, ProgramError
from native_stack.logs import last_line, tail
from native_stack.program import NotReady, Program
from native_stack.supervisor import ProcessInfo, State, Supervisor

POLL_SECONDS = 0.2
# A program that had to be started this often while we wait is not going to make it.
MOST_STARTS = 3


@dataclass(frozen=True)
class ProgramStatus:
    """One line of `native status`; `waits_for` is None when the program is ready or done."""

    purpose: str
    state: str
    pid: int
    address: str | None
    waits_for: str | None


def status_of(program: Program, info: ProcessInfo | None) -> ProgramStatus:
    """Ask one program, and the supervisor's word on it, how it is."""
    state = info.state if info else State.STOPPED
    return ProgramStatus(
        purpose=program.purpose,
        state="done" if program.one_shot and info and info.finished else state.name.lower(),
        pid=info.pid if info else 0,
        address=program.address if program.ports else None,
        waits_for=state_of(program, info),
    )


def wait_ready(
    programs: Sequence[Program], supervisor: Supervisor, display: Display, timeout_seconds: float | None
) -> None:
    """Return when every program is ready; raise ProgramError or NotReadyInTimeError otherwise."""
    started = time.monotonic()
    rows = {program.name: Row("starting") for program in programs}
    pids: defaultdict[str, set[int]] = defaultdict(set)
    with display.open(), ThreadPoolExecutor(max(1, len(programs))) as pool:
        while waiting := [program for program in programs if not rows[program.name].done]:
            infos = supervisor.infos()
            for program in waiting:
                _fail_if_hopeless(program, infos.get(program.name), pids[program.name])
            reasons = pool.map(state_of, waiting, [infos.get(program.name) for program in waiting])
            rows |= {p.name: _row(p, reason, started) for p, reason in zip(waiting, reasons, strict=True)}
            display.show(rows)
            if timeout_seconds is not None and time.monotonic() - started > timeout_seconds:
                _raise_if_waiting(rows, timeout_seconds)
            if not all(row.done for row in rows.values()):
                time.sleep(POLL_SECONDS)


def state_of(program: Program, info: ProcessInfo | None) -> str | None:
    """Return why a program is not ready, or None when it is."""
    if info is None or info.state is State.STOPPED:
        return "not running"
    if program.one_shot:
        return None if info.finished else _says(program, info) or "starting"
    if not info.up:
        return "not running"
    try:
        program.probe()
    except NotReady as reason:
        return str(reason)
    return None


def _says(program: Program, info: ProcessInfo) -> str:
    # What an earlier run said would mislead.
    if not program.log.exists() or program.log.stat().st_mtime < info.started_at:
        return ""
    # Without the time and the level that a structured line begins with.
    return last_line(program.log).partition("message=")[2]


def _row(program: Program, reason: str | None, started: float) -> Row:
    if reason is not None:
        return Row(f"waiting: {reason}")
    return Row(
        f"{'done' if program.one_shot else 'ready'} after {time.monotonic() - started:.1f} s", done=True
    )


def _fail_if_hopeless(program: Program, info: ProcessInfo | None, pids: set[int]) -> None:
    if info is None or info.state is State.STOPPED:
        raise NativeError(f"{program.name} was stopped by somebody else while we waited for it")
    if info.pid:
        pids.add(info.pid)
    refused = program.one_shot and info.state is State.EXITED and not info.finished
    if refused:
        found = f"refused its work (exit {info.exit_status})"
    elif info.state is State.FATAL or len(pids) > MOST_STARTS:
        found = "does not stay up"
    else:
        return
    raise ProgramError(f"{program.name} {found}:\n{tail(program.log)}\nThe whole log: {program.log}")


def _raise_if_waiting(rows: Mapping[str, Row], seconds: float) -> None:
    late = [f"{name}: {row.text}" for name, row in rows.items() if not row.done]
    if late:
        raise NotReadyInTimeError(f"not ready after {seconds:g} s\n" + "\n".join(late))
