"""What has been loaded and by which run: the tables `etl_objects` and `etl_runs`."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pin_schema.logs import FORMAT_1_LOG
from service_runtime.cassandra import NOT_NOW, cassandra_session

from batch_etl.accounting import Account, ObjectAccount
from batch_etl.outcome import Run
from batch_etl.patience import patiently
from batch_etl.settings import BatchSettings
from batch_etl.stopping import Stopping
from batch_etl.work import Partition, Start, Work, start_of

if TYPE_CHECKING:
    from cassandra.cluster import Session

OBJECT_COLUMNS = (
    "topic", "partition", "start_offset", "end_offset", "sha256", "run_id",
    "pins_read", "pins_clean", "pins_duplicate", "pins_rejected", "loaded_at",
)  # fmt: skip
# A run says that it is running for so long, and says it again in time: one that died does not.
RUNNING_SECONDS = 120
RUN_COLUMNS = (
    "run_id", "started_at", "finished_at", "status", "staging", "objects", "pins_read", "pins_clean",
    "pins_duplicate", "pins_rejected", "rejected", "seconds", "set_aside",
)  # fmt: skip


@contextmanager
def open_ledger(settings: BatchSettings, stopping: Stopping) -> Iterator["Ledger"]:
    """Connect; raises one of NOT_NOW while Cassandra is away or not migrated."""
    with cassandra_session(settings) as session:
        yield Ledger(session, settings, stopping)


class Ledger:
    """Both tables, through one session; calls wait out a cluster that is away.

    They raise one of NOT_NOW when it stays away, and Interrupted when the run is to end.
    """

    def __init__(self, session: "Session", settings: BatchSettings, stopping: Stopping) -> None:
        self._session = session
        self._archive = f"{settings.s3_bucket}/{settings.kafka_topic}"
        self._wait_seconds = settings.wait_seconds
        self._stopping = stopping
        self._ending, self._ended = threading.Lock(), False
        objects, runs = (f"{settings.cassandra_keyspace}.{table}" for table in ("etl_objects", "etl_runs"))
        starts = f"SELECT start_offset FROM {objects} WHERE topic = ? AND partition = ?"  # noqa: S608
        self._starts = session.prepare(starts)
        self._object = session.prepare(_insert(objects, OBJECT_COLUMNS))
        self._run = session.prepare(_insert(runs, RUN_COLUMNS))
        self._runs = session.prepare(f"SELECT run_id, status, finished_at FROM {runs}")  # noqa: S608
        # Without a time to live, 0, it stays.
        self._status = session.prepare(f"UPDATE {runs} USING TTL ? SET status = ? WHERE run_id = ?")  # noqa: S608

    def loaded(self, partitions: Iterable[Partition]) -> set[Start]:
        """Where every object starts that is loaded."""
        return {(*partition, row.start_offset) for partition in partitions for row in self._rows(*partition)}

    def _topic(self, log: str) -> str:
        """What the column `topic` says: offsets mean something within one log of one archive."""
        return self._archive if log == FORMAT_1_LOG else f"{self._archive}/{log}"

    def _rows(self, log: str, partition: int) -> list[Any]:
        place = (self._topic(log), partition)
        rows: list[Any] = self._patiently(lambda: list(self._session.execute(self._starts, place)))
        return rows

    def started(self, run: Run) -> None:
        """Show that a run is on its way, and which ones died before they could say how they ended."""
        for found in self._patiently(lambda: list(self._session.execute(self._runs))):
            if found.status is None and found.finished_at is None:
                self._write_status(0, "died", found.run_id)
        self._write_run(run, None, None)
        self._write_status(*self._running(run))

    def running(self, run: Run) -> None:
        """Show that a run is still on its way, unless it has ended; nobody waits for the answer."""
        with self._ending, suppress(*NOT_NOW):
            if not self._ended:
                self._session.execute_async(self._status, self._running(run))

    def _end(self) -> None:
        with self._ending:
            self._ended = True

    def _write_status(self, *values: object) -> None:
        self._patiently(lambda: self._session.execute(self._status, values))

    def _running(self, run: Run) -> tuple[Any, ...]:
        return RUNNING_SECONDS, "running", run.run_id

    def finished(self, run: Run) -> None:
        """Record how a run ended well."""
        self._end()
        self._write_run(run, run.status, datetime.now(UTC))

    def failed(self, run: Run) -> None:
        """Record that a run failed, if Cassandra answers at once."""
        self._end()
        self._session.execute(self._run, _run_values(run, run.status, datetime.now(UTC)))

    def record(self, run_id: UUID, account: Account, work: Work) -> None:
        """Record the objects of the account as loaded by this run."""
        for text, one in account.objects.items():
            self._write_object(run_id, start_of(work.objects[text]), one)

    def _write_object(self, run_id: UUID, start: Start, account: ObjectAccount) -> None:
        held, rejected = account.held, sum(account.rejected.values())
        counts = (held.records, account.clean, account.duplicate, rejected)
        log, *place = start
        values = (self._topic(log), *place, held.end, held.sha256, run_id, *counts, datetime.now(UTC))
        self._patiently(lambda: self._session.execute(self._object, values))

    def _write_run(self, run: Run, status: str | None, finished_at: datetime | None) -> None:
        values = _run_values(run, status, finished_at)
        self._patiently(lambda: self._session.execute(self._run, values))

    def _patiently(self, call: Callable[[], Any]) -> Any:
        return patiently(call, NOT_NOW, self._wait_seconds, self._stopping.sleep)


def _run_values(run: Run, status: str | None, finished_at: datetime | None) -> tuple[Any, ...]:
    account, rejected = run.account, run.account.rejected
    counts = (account.read, account.clean, account.duplicate, sum(rejected.values()))
    return (
        *(run.run_id, run.started_at, finished_at, status, run.staging, len(account.objects)),
        *(*counts, rejected, run.seconds, run.set_aside),
    )


def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
