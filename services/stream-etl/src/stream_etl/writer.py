"""Merges a staged batch: its rows, its windows and its place in the ledger, in one transaction, once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import asyncpg
import structlog
from service_runtime.clock import Clock
from service_runtime.patience import until_answered
from service_runtime.readiness import Dependency

from stream_etl.batch import BatchName
from stream_etl.metrics import StreamMetrics
from stream_etl.postgres import Postgres, PostgresUnavailable
from stream_etl.resume import Position, Written
from stream_etl.staging import Staged, StagedRowsLostError, require_all_staged
from stream_etl.stops import LedgerDisagrees
from stream_etl.upserts import OF_BATCH, OF_RECORDS, UPSERTS

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

log = structlog.get_logger(__name__)

# Before a batch is staged again, which costs the work of a batch each time.
STAGE_AGAIN_SECONDS = 1.0
# Spark replays the last batch only; these are for the person who asks what was written when.
LEDGER_BATCHES = 10_000
# `max_event_time` is the greatest so far, so that one row tells a later batch what all before it held.
ENTER = f"""
INSERT INTO stream_batches (query_id, batch_id, rows, max_event_time)
VALUES ($1::uuid, $2::bigint, $4, GREATEST(
    (SELECT max(event_time) FROM stream_staging WHERE {OF_BATCH} AND {OF_RECORDS}),
    (SELECT max_event_time FROM stream_batches WHERE query_id = $1::uuid AND batch_id = $2::bigint - 1)))
ON CONFLICT DO NOTHING RETURNING true
"""  # noqa: S608 - names of our own
FOUND = f"SELECT attempt, table_name, count(*) FROM stream_staging WHERE {OF_BATCH} GROUP BY 1, 2"  # noqa: S608
REASONS = f"""
SELECT reason, count(*) FROM stream_staging WHERE {OF_BATCH} AND table_name = 'rejected_pins' GROUP BY 1
"""  # noqa: S608 - names of our own
# What other attempts of this batch and of earlier ones have left, too.
CLEAR = "DELETE FROM stream_staging WHERE query_id = $1 AND batch_id <= $2"
# What a query has left that never goes on. A batch that is older and still alive is staged again.
CLEAR_ABANDONED = "DELETE FROM stream_staging WHERE staged_at < now() - interval '1 day'"
FORGET = "DELETE FROM stream_batches WHERE query_id = $1 AND batch_id = $2"
LAST_BATCH = "SELECT max(batch_id) FROM stream_batches WHERE query_id = $1"
POSITIONS = "SELECT source_partition, source_offset, event_time FROM stream_positions WHERE query_id = $1"


@dataclass(frozen=True, slots=True)
class Merged:
    """How many rows a batch brought to each table, and why records were rejected."""

    rows: Mapping[str, int]
    rejected: Mapping[str, int]


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

    async def write(self, name: BatchName, staged: Staged) -> bool:
        """Commit the batch unless the ledger has it; raises LedgerDisagrees.

        False when it has to be staged again: a task could not stage its rows, or they are there no more.
        """
        if staged.fault is not None:
            return await self._stage_again(name, staged.fault)
        started = self._clock.monotonic()
        try:
            merged = await until_answered(
                lambda: self._try_to_merge(name, staged),
                PostgresUnavailable,
                self._clock,
                partial(self._note_refusal, name),
            )
        except StagedRowsLostError as lost:
            return await self._stage_again(name, str(lost))
        self._refused.discard(name.query)
        self._note_answer()
        self._metrics.write_seconds.labels(name.query).observe(self._clock.monotonic() - started)
        self._count(name, staged, merged)
        return True

    async def _stage_again(self, name: BatchName, why: str) -> bool:
        log.warning("the batch is staged again", query=name.query, batch=name.number, why=why)
        self._note_refusal(name, why)
        self._metrics.staged_again.labels(name.query).inc()
        await self._clock.sleep(STAGE_AGAIN_SECONDS)
        return False

    def _note_refusal(self, name: BatchName, why: str) -> None:
        self._refused.add(name.query)
        self._dependency.down(why)

    def _note_answer(self) -> None:
        # Who answers a question may still refuse a write: read-only, full, without the right.
        if not self._refused:
            self._dependency.up()

    async def _try_to_merge(self, name: BatchName, staged: Staged) -> Merged | None:
        """What was merged; None when the batch had been written before."""
        batch = (name.query_id, name.number, staged.attempts)
        async with self._postgres.connection() as connection, connection.transaction():
            merged = await self._merged(connection, name, staged, batch)
            await connection.execute(CLEAR, name.query_id, name.number)
        return merged

    async def _merged(
        self,
        connection: "PoolConnectionProxy[asyncpg.Record]",
        name: BatchName,
        staged: Staged,
        batch: tuple[object, ...],
    ) -> Merged | None:
        if not await connection.fetchval(ENTER, *batch, sum(staged.rows.values())):
            return None
        await self._require_predecessor(connection, name)
        found = await connection.fetch(FOUND, *batch)
        require_all_staged(staged, {(attempt, table): rows for attempt, table, rows in found})
        rejected = dict(map(tuple, await connection.fetch(REASONS, *batch)))
        rows = {
            table: await connection.fetchval(upsert.statement, *batch) for table, upsert in UPSERTS.items()
        }
        await connection.execute(FORGET, name.query_id, name.number - LEDGER_BATCHES)
        return Merged(rows, rejected)

    async def _require_predecessor(
        self, connection: "PoolConnectionProxy[asyncpg.Record]", name: BatchName
    ) -> None:
        found = "SELECT EXISTS (SELECT FROM stream_batches WHERE query_id = $1 AND batch_id = $2)"
        if name.number and not await connection.fetchval(found, name.query_id, name.number - 1):
            raise LedgerDisagrees(
                f"the checkpoint of {name.query!r} ({name.query_id}) goes on with batch {name.number}, "
                f"but this database does not hold batch {name.number - 1}"
            )

    def _count(self, name: BatchName, staged: Staged, merged: Merged | None) -> None:
        self._metrics.batches.labels(name.query, "replayed" if merged is None else "written").inc()
        if merged is None:
            log.info("batch replayed, the ledger has it", query=name.query, batch=name.number)
            return
        for table, rows in merged.rows.items():
            self._metrics.rows.labels(table).inc(rows)
        self._metrics.records.inc(staged.records)
        for reason, count in merged.rejected.items():
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
            await connection.execute(CLEAR_ABANDONED)
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
