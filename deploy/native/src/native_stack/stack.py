"""The stack as a whole: what `native` and the tests drive."""

import contextlib
import fcntl
import os
import shutil
import signal
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import psutil

from native_stack import supervisor_config
from native_stack.builder import build_all
from native_stack.credentials import Credentials
from native_stack.display import Display, Row, Silent
from native_stack.errors import NativeError
from native_stack.invocation import Invocation
from native_stack.jobs import JOBS
from native_stack.logs import tail
from native_stack.observers import OBSERVERS
from native_stack.ports import require_free
from native_stack.processes import end, kill, signal_group, still_alive
from native_stack.program import Context, Program
from native_stack.programs import ALL, PROGRAMS, SERVICES, by_name, without_program_variables
from native_stack.readiness import ProgramStatus, status_of, wait_ready
from native_stack.requirements import find_java
from native_stack.settings import NativeSettings
from native_stack.supervisor import Supervisor

GONE_SECONDS = 45


class Stack:
    """One stack: its programs run under a supervisord of its own, which outlives this object.

    `environment` holds variables for programs by name; they win over what the stack sets.
    """

    def __init__(
        self,
        settings: NativeSettings,
        *,
        display: Display | None = None,
        environment: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.settings = settings
        self.credentials = Credentials(settings.secret_dir)
        self._display = display or Silent()
        self._environment = environment or {}
        self._supervisor = Supervisor(settings)

    def up(
        self, only: Sequence[str] = (), timeout_seconds: float | None = None, *, observe: bool = False
    ) -> None:
        """Start what does not run, all of it or `only` the named programs, and wait until it is ready.

        With `observe` what watches the stack is started too.

        Raises NativeError when a port is taken, a build fails, a program does not stay up or time is up.
        Whatever interrupts it, Ctrl-C included, programs that this call started are stopped again; those that
        failed by themselves are left for inspection.
        """
        wanted = [by_name(name).name for name in only] or [program.name for program in PROGRAMS]
        wanted += [program.name for program in OBSERVERS if observe and program.name not in wanted]
        programs = self._programs(wanted)
        chosen = [program for program in programs if program.name in wanted]
        with self._undone_on_interrupt() as started:
            with self._alone():
                self._build(chosen)
                self._start(programs, wanted, started)
            wait_ready(chosen, self._supervisor, self._display, timeout_seconds)

    def build(self) -> None:
        """Download and build everything, Java included; start nothing."""
        find_java()
        self._build(PROGRAMS)

    def down(self) -> None:
        """Stop every process of the stack and wait until none is left; does nothing when none runs."""
        with self._alone():
            self._end_all()

    def reset(self) -> None:
        """Stop the stack and delete all its state: data, secrets, logs."""
        self.down()
        shutil.rmtree(self.settings.state_dir, ignore_errors=True)

    def status(self) -> dict[str, ProgramStatus]:
        """Return every program's state, in flow order; those that run are asked whether they are ready."""
        infos = self._supervisor.infos()
        context = Context(self.settings, self.credentials, frozenset(infos), self._environment)
        # What watches the stack is news only where it was asked for.
        shown = [program(context) for program in ALL if program in PROGRAMS or program.name in infos]
        with ThreadPoolExecutor(len(shown)) as pool:
            rows = pool.map(lambda program: status_of(program, infos.get(program.name)), shown)
            return dict(zip((program.name for program in shown), rows, strict=True))

    def start(self, program: str) -> None:
        """Start one program and wait until it is ready."""
        self.up(only=[program])

    def stop(self, program: str) -> None:
        """Stop one program the gentle way and wait until it is gone."""
        self._stop([by_name(program).name])

    def kill(self, program: str) -> None:
        """Send SIGKILL to a program's processes and wait until they are gone; the supervisor restarts it."""
        process = psutil.Process(self.pid_of(program))
        # Backends of PostgreSQL have groups of their own. Left alive for a moment, one that waits for the
        # lock of another commits.
        kill([*process.children(recursive=True), process], GONE_SECONDS)

    def suspend(self, program: str) -> None:
        """Freeze a program with SIGSTOP: its connections stay open and answer nothing."""
        signal_group(self.pid_of(program), signal.SIGSTOP)

    def resume(self, program: str) -> None:
        """Let a suspended program go on."""
        signal_group(self.pid_of(program), signal.SIGCONT)

    def wait_ready(self, *programs: str, timeout_seconds: float | None = None) -> None:
        """Wait until the named programs do their work."""
        chosen = [program for program in self._programs(programs) if program.name in programs]
        wait_ready(chosen, self._supervisor, self._display, timeout_seconds)

    def processes(self) -> list[psutil.Process]:
        """Return every process of the stack, those that a killed supervisor left included."""
        return self._supervisor.processes()

    def pid_of(self, program: str) -> int:
        """Return the process id of a program that runs; raise NativeError otherwise."""
        info = self._supervisor.infos().get(by_name(program).name)
        if info is None or not info.pid:
            raise NativeError(f"{program} does not run: start it with `native up --only {program}`")
        return info.pid

    def environment(self, program: str) -> dict[str, str]:
        """Return the variables a program or a job gets."""
        return by_name(program, [*ALL, *JOBS])(self._context()).environment()

    def job(self, name: str, *arguments: str) -> Invocation:
        """Return how to start a job on this stack; raise NativeError when the stack does not run."""
        job = by_name(name, JOBS)(self._context())
        if not self._supervisor.running():
            raise NativeError(f"{name} works on the stack, which does not run: start it with `native up`")
        job.prepare()
        environment = without_program_variables(os.environ) | job.environment()
        return Invocation([*job.command(), *arguments], environment)

    def log_tail(self, program: str, lines: int = 50) -> str:
        """Return the last lines of a program's log."""
        return tail(self.settings.log_dir / f"{by_name(program).name}.log", lines)

    def _programs(self, wanted: Sequence[str]) -> list[Program]:
        """Return the wanted programs and those the supervisor knows already, in flow order."""
        context = self._context(wanted)
        return [program(context) for program in ALL if program.name in context.programs]

    def _context(self, wanted: Sequence[str] = ()) -> Context:
        names = frozenset(wanted) | self._supervisor.infos().keys()
        return Context(self.settings, self.credentials, names, self._environment)

    def _build(self, programs: Sequence[Program | type[Program]]) -> None:
        builds = dict.fromkeys(build for program in programs for build in program.builds)
        build_all(list(builds), self.settings, self._display)

    def _start(self, programs: Sequence[Program], wanted: Sequence[str], started: list[str]) -> None:
        before = self._supervisor.infos()
        up = {name for name, info in before.items() if info.up}
        # A program whose configuration changes is stopped by that: it has to come back.
        to_start = {*wanted, *up, *(name for name, info in before.items() if info.finished)}
        if not self._supervisor.running():
            # Without their supervisor they would hold the ports, and nobody would restart them.
            end(self.processes())
        for program in programs:
            if program.name in to_start - up:
                require_free(self.settings, program.name, program.port_numbers())
        self._prepare(programs)
        if self._supervisor.running():
            self._supervisor.apply()
        else:
            started.extend(wanted)
            self._supervisor.start(without_program_variables(os.environ))
        for name, info in self._supervisor.infos().items():
            if name in to_start and not info.up and not info.finished:
                started.append(name)
                self._supervisor.start_program(name)

    def _prepare(self, programs: Sequence[Program]) -> None:
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(program.prepare) for program in programs]:
                done.result()
        self._supervisor.configure(supervisor_config.render(self.settings, programs))

    @contextlib.contextmanager
    def _undone_on_interrupt(self) -> Iterator[list[str]]:
        """Stop what was started, when Ctrl-C or SIGTERM interrupts; a failure is left for inspection."""
        first = not self._supervisor.running()
        started: list[str] = []
        try:
            yield started
        except (KeyboardInterrupt, SystemExit):
            if started and first:
                self._end_all()
            else:
                self._stop(started)
            raise

    def _end_all(self) -> None:
        processes = self.processes()
        asked = self._supervisor.running()
        if asked:
            # While the servers are there, so that they can hand over what they hold.
            self._stop([program.name for program in SERVICES])
            self._stop([program.name for program in ALL])
            self._supervisor.shutdown()
        end(still_alive(processes, GONE_SECONDS if asked else 0))

    def _stop(self, names: Collection[str]) -> None:
        for name, info in self._supervisor.infos().items():
            if name in names and info.pid:
                # A suspended process hears nothing until it goes on.
                signal_group(info.pid, signal.SIGCONT)
        self._supervisor.stop_programs(names)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one command at a time change this stack."""
        self.settings.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.settings.run_dir / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._display.show({"native": Row("another native command changes this stack: waiting")})
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
