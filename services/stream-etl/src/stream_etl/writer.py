"""Writes a batch: its rows, its windows and its place in the ledger, in one transaction, once."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import pyarrow as pa
import structlog
from service_runtime.clock import Clock
from service_runtime.patience import until_answered
from service_runtime.readiness import Dependency

from stream_etl.batch import Batch, Tables
from stream_etl.late import BATCHES_BEHIND
from stream_etl.metrics import StreamMetrics
from stream_etl.postgres import Postgres, PostgresUnavailable
from stream_etl.resume import Position, Written
from stream_etl.stops import LedgerDisagrees
from stream_etl.upserts import UPSERTS

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

log = structlog.get_logger(__name__)

# Spark replays the last batch only; these are for the person who asks what was written when.
LEDGER_BATCHES = 10_000
# `max_event_time` is the greatest so far, so that one row tells a later batch what all before it held.
ENTER = """
INSERT INTO stream_batches (query_id, batch_id, rows, max_event_time)
VALUES ($1, $2::bigint, $3, GREATEST(
    $4, (SELECT max_event_time FROM stream_batches WHERE query_id = $1 AND batch_id = $2::bigint - 1)))
ON CONFLICT DO NOTHING RETURNING true
"""
SEEN = "SELECT max_event_time FROM stream_batches WHERE query_id = $1 AND batch_id = $2"
FORGET = "DELETE FROM stream_batches WHERE query_id = $1 AND batch_id = $2"
LAST_BATCH = "SELECT max(batch_id) FROM stream_batches WHERE query_id = $1"
POSITIONS = "SELECT source_partition, source_offset, event_time FROM stream_positions WHERE query_id = $1"


@dataclass(frozen=True, slots=True)
class BatchName:
    """A batch is known by the query's id in its checkpoint: a new checkpoint starts again at batch 0."""

    query: str
    query_id: str
    number: int


class Writer:
    """Waits for PostgreSQL as long as it takes, and says so."""

    def __init__(
        self, postgres: Postgres, dependency: Dependency, clock: Clock, metrics: StreamMetrics
    ) -> None:
        self._postgres = postgres
        self._dependency = dependency
        self._clock = clock
        self._metrics = metrics
        self._refused: set[str] = set()

    async def write(self, name: BatchName, batch: Batch) -> None:
        """Commit the batch unless the ledger has it; raises LedgerDisagrees."""
        started = self._clock.monotonic()

        def waiting(why: str) -> None:
            self._refused.add(name.query)
            self._dependency.down(why)

        tables = await until_answered(
            lambda: self._try_to_write(name, batch), PostgresUnavailable, self._clock, waiting
        )
        self._refused.discard(name.query)
        self._note_answer()
        self._metrics.write_seconds.labels(name.query).observe(self._clock.monotonic() - started)
        self._count(name, batch, tables)

    def _note_answer(self) -> None:
        # Who answers a question may still refuse a write: read-only, full, without the right.
        if not self._refused:
            self._dependency.up()

    async def _try_to_write(self, name: BatchName, batch: Batch) -> Tables | None:
        """The rows that were written; None when the batch had been written before."""
        async with self._postgres.connection() as connection, connection.transaction():
            is_new = await connection.fetchval(
                ENTER, name.query_id, name.number, batch.records, batch.max_event_time
            )
            if not is_new:
                return None
            await self._require_predecessor(connection, name)
            seen = await connection.fetchval(SEEN, name.query_id, name.number - BATCHES_BEHIND)
            tables = batch.tables(seen)
            for table, rows in tables.items():
                await _upsert(connection, table, rows, name.query_id)
            await connection.execute(FORGET, name.query_id, name.number - LEDGER_BATCHES)
        return tables

    async def _require_predecessor(
        self, connection: "PoolConnectionProxy[asyncpg.Record]", name: BatchName
    ) -> None:
        found = "SELECT EXISTS (SELECT FROM stream_batches WHERE query_id = $1 AND batch_id = $2)"
        if name.number and not await connection.fetchval(found, name.query_id, name.number - 1):
            raise LedgerDisagrees(
                f"the checkpoint of {name.query!r} ({name.query_id}) goes on with batch {name.number}, "
                f"but this database does not hold batch {name.number - 1}"
            )

    def _count(self, name: BatchName, batch: Batch, tables: Tables | None) -> None:
        self._metrics.batches.labels(name.query, "replayed" if tables is None else "written").inc()
        if tables is None:
            log.info("batch replayed, the ledger has it", query=name.query, batch=name.number)
            return
        for table, rows in tables.items():
            self._metrics.rows.labels(table).inc(len(rows))
        if "rejected_pins" in tables:
            self._metrics.records.inc(batch.records)
            for reason, count in Counter(tables["rejected_pins"]["reason"].to_pylist()).items():
                self._metrics.rejected.labels(reason).inc(count)

    async def written(self, query_id: str) -> Written:
        """How far the query has written."""
        written = await until_answered(
            lambda: self._written(query_id), PostgresUnavailable, self._clock, self._dependency.down
        )
        self._note_answer()
        return written

    async def _written(self, query_id: str) -> Written:
        async with self._postgres.connection() as connection:
            last_batch = await connection.fetchval(LAST_BATCH, query_id)
            rows = await connection.fetch(POSITIONS, query_id)
        return Written(last_batch, {partition: Position(*position) for partition, *position in rows})

    async def probe(self) -> None:
        """Ask for nothing of a table, so that silence is never taken for health."""
        try:
            async with self._postgres.connection() as connection:
                await connection.execute("SELECT FROM stream_positions LIMIT 0")
        except PostgresUnavailable as error:
            self._dependency.down(str(error))
        else:
            self._note_answer()


async def _upsert(
    connection: "PoolConnectionProxy[asyncpg.Record]", table: str, rows: pa.Table, query_id: str
) -> None:
    if not len(rows):
        return
    if table == "stream_positions":
        rows = rows.append_column("query_id", pa.array([query_id] * len(rows)))
    upsert = UPSERTS[table]
    await connection.execute(upsert.statement, *upsert.arguments(rows))
