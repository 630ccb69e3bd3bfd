"""Puts the rows of a batch into PostgreSQL's staging table, from Spark's tasks: none passes the driver.

Each attempt of a task stages under a name of its own: what one that failed or died has left is never merged.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from uuid import UUID, uuid4

import asyncpg
import pyarrow as pa
from pyspark.sql import Row

from stream_etl.batch import TABLES_OF_RECORDS, BatchName, rows_by_table
from stream_etl.postgres import CONNECTION, STATEMENT_SECONDS, PostgresUnavailable, passing_errors

STAGED = "attempt string, table_name string, rows bigint, fault string"
"What a task returns: how many rows of each table it has staged, or why it could not."
KEY_COLUMNS = ("query_id", "batch_id", "attempt", "table_name")

_STAGED_ARROW = pa.schema(
    [("attempt", pa.string()), ("table_name", pa.string()), ("rows", pa.int64()), ("fault", pa.string())]
)

StageRows = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


class StagedRowsLostError(Exception):
    """The staging table does not hold what the tasks have put there: the batch has to be staged again."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What the tasks of one run of a batch have staged, and the first reason why one could not."""

    rows: Mapping[tuple[UUID, str], int]
    fault: str | None

    @classmethod
    def of(cls, reports: Sequence[Row]) -> "Staged":
        """Read the tasks' reports, rows of STAGED."""
        return cls(
            {(UUID(r["attempt"]), r["table_name"]): r["rows"] for r in reports if r["fault"] is None},
            next((r["fault"] for r in reports if r["fault"] is not None), None),
        )

    @property
    def attempts(self) -> list[UUID]:
        """The attempts whose rows are to be merged."""
        return list({attempt for attempt, _ in self.rows})

    @property
    def records(self) -> int:
        """How many records of the topic are staged."""
        return sum(rows for (_, table), rows in self.rows.items() if table in TABLES_OF_RECORDS)


def require_all_staged(staged: Staged, found: Mapping[tuple[UUID, str], int]) -> None:
    """Raise StagedRowsLostError unless the staging table holds exactly what the tasks have staged."""
    if found != staged.rows:
        raise StagedRowsLostError(
            f"{sum(staged.rows.values())} rows were staged, and {sum(found.values())} of them are in "
            "stream_staging: has PostgreSQL crashed in between?"
        )


def stage_rows(dsn: str, name: BatchName) -> StageRows:
    """What a task does with its rows, for `mapInArrow`; it returns a row of STAGED a table."""

    # The DSN travels in the closure, which Spark shows nowhere.

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield asyncio.run(_report(dsn, name, batches))

    return stage


async def _report(dsn: str, name: BatchName, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch:
    attempt = str(uuid4())
    rows: Counter[str] = Counter()
    try:
        await _copy_all(dsn, (name.query_id, name.number, attempt), batches, rows)
    except PostgresUnavailable as error:
        # What feeds this task ends in order only when it is read to its end.
        deque(batches, maxlen=0)
        return _reports([(attempt, None, None, str(error))])
    return _reports([(attempt, table, count, None) for table, count in rows.items()])


async def _copy_all(
    dsn: str, batch: tuple[str, int, str], batches: Iterator[pa.RecordBatch], rows: Counter[str]
) -> None:
    """Count in `rows` what is copied. A chunk is what Spark hands over at once, which is bounded in bytes."""
    chunks = (chunk for chunk in batches if chunk.num_rows)
    first = next(chunks, None)
    if first is None:
        return
    async with _connected(dsn) as connection:
        for chunk in chain([first], chunks):
            for table, found in rows_by_table(chunk).items():
                with passing_errors():
                    await _copy(connection, (*batch, table), found)
                rows[table] += found.num_rows


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator["asyncpg.Connection"]:
    with passing_errors():
        connection = await asyncpg.connect(dsn, **CONNECTION)
    try:
        yield connection
    finally:
        connection.terminate()


async def _copy(connection: "asyncpg.Connection", key: tuple[str | int, ...], rows: pa.Table) -> None:
    values = zip(*(column.to_pylist() for column in rows.columns), strict=True)
    await connection.copy_records_to_table(
        "stream_staging",
        records=((*key, *row) for row in values),
        columns=[*KEY_COLUMNS, *rows.column_names],
        timeout=STATEMENT_SECONDS,
    )


def _reports(reports: Sequence[tuple[str, str | None, int | None, str | None]]) -> pa.RecordBatch:
    columns = list(zip(*reports, strict=True)) or [()] * len(_STAGED_ARROW)
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, _STAGED_ARROW, strict=True)],
        schema=_STAGED_ARROW,
    )
