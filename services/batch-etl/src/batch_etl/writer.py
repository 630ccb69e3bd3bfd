"""Rows into Cassandra: unlogged batches, a bounded number in flight, patient with a cluster that is away."""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from cassandra.query import BatchStatement, BatchType
from pyspark.sql import DataFrame
from service_runtime.cassandra import NOT_NOW, cassandra_session

from batch_etl.cutting import cut
from batch_etl.errors import Unbalanced
from batch_etl.patience import patiently
from batch_etl.settings import BatchSettings
from batch_etl.tables import Table

if TYPE_CHECKING:
    from cassandra.cluster import ResponseFuture, Session
    from cassandra.query import BoundStatement, PreparedStatement

# Cassandra refuses a batch beyond 50 KiB; 20 rows were the fastest.
BATCH_ROWS = 20
BATCH_BYTES = 30 * 1024


def write_table(frame: DataFrame, table: Table, rows: int, settings: BatchSettings) -> None:
    """Write the frame's rows as versions of pins; the newest version stands.

    Raises Unbalanced when the tasks have not written `rows` rows in all.
    """
    tasks = frame.sparkSession.sparkContext.defaultParallelism
    writer = TableWriter(table, settings)
    counts = frame.select(*table.columns).coalesce(tasks).mapInArrow(writer.write, "rows long").collect()
    if (written := sum(count.rows for count in counts)) != rows:
        raise Unbalanced(f"{written} of {rows} rows were written to {table.name}: load again")


class TableWriter:
    """Writes a task's rows through one session."""

    def __init__(self, table: Table, settings: BatchSettings) -> None:
        self._table = table
        self._settings = settings

    def write(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the number of rows when all are acknowledged; raises one of NOT_NOW."""
        wait, count = self._settings.wait_seconds, 0
        with ExitStack() as stack:
            session = patiently(lambda: stack.enter_context(cassandra_session(self._settings)), NOT_NOW, wait)
            version = patiently(partial(self._prepare, session), NOT_NOW, wait)
            in_flight = InFlight(session, self._settings.write_in_flight, wait)
            for rows in batches:
                for batch in _batches(version, self._table, rows):
                    in_flight.send(batch)
                count += rows.num_rows
            in_flight.settle_all()
        yield pa.RecordBatch.from_pydict({"rows": [count]})

    def _prepare(self, session: "Session") -> "Version":
        keyspace = self._settings.cassandra_keyspace
        return Version(
            session.prepare(self._table.erase(keyspace)), session.prepare(self._table.insert(keyspace))
        )


@dataclass(frozen=True, slots=True)
class Version:
    """What writes a version of a pin: both statements in one batch are one mutation of its partition."""

    erase: "PreparedStatement"
    insert: "PreparedStatement"

    def bind(self, values: tuple[Any, ...], id_place: int) -> tuple["BoundStatement", "BoundStatement"]:
        """The statements of a row, with its `unique_id` at that place and its timestamp at the end."""
        # A version erases what is older than itself, and stays as it is when it is written again.
        return self.erase.bind((values[-1] - 1, values[id_place])), self.insert.bind(values)


def _batches(version: Version, table: Table, rows: pa.RecordBatch) -> Iterator[BatchStatement]:
    id_place = table.columns.index("unique_id")
    bound = [version.bind(values, id_place) for values in table.rows(rows)]
    sizes = [sum(len(value) for value in insert.values if isinstance(value, bytes)) for _, insert in bound]
    for part in cut(sizes, BATCH_ROWS, BATCH_BYTES):
        batch = BatchStatement(BatchType.UNLOGGED)
        batch.add_all([one for row in bound[part] for one in row], [()] * 2 * (part.stop - part.start))
        yield batch


class InFlight:
    """Batches on their way, at most `most`; one that fails is sent again until it is acknowledged."""

    def __init__(self, session: "Session", most: int, wait_seconds: float) -> None:
        self._session = session
        self._most = most
        self._wait_seconds = wait_seconds
        self._sent: deque[tuple[BatchStatement, ResponseFuture]] = deque()

    def send(self, batch: BatchStatement) -> None:
        """Send a batch, after the oldest one is acknowledged when there are too many."""
        if len(self._sent) == self._most:
            self._settle_oldest()
        self._sent.append((batch, self._session.execute_async(batch)))

    def settle_all(self) -> None:
        """Return when every batch is acknowledged."""
        while self._sent:
            self._settle_oldest()

    def _settle_oldest(self) -> None:
        batch, answer = self._sent.popleft()
        try:
            answer.result()
        except NOT_NOW:
            patiently(lambda: self._session.execute(batch), NOT_NOW, self._wait_seconds)
