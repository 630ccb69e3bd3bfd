"""The rows of a batch as Spark gives them: a column a table, and a row belongs to one of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

Tables = Mapping[str, pa.Table]
"Rows by the name of the table they are for."

TABLES_OF_RECORDS = ("pins", "rejected_pins")
"Every record of the topic is a row of one of them."


@dataclass(frozen=True, slots=True)
class BatchName:
    """A batch is known by the query's id in its checkpoint: a new checkpoint starts again at batch 0."""

    query: str
    query_id: str
    number: int


def rows_by_table(batch: pa.RecordBatch) -> Tables:
    """The rows of each table that has some; every column holds structs, or nulls."""
    tables = {name: _members(batch.column(name)) for name in batch.schema.names}
    return {name: rows for name, rows in tables.items() if rows.num_rows}


def _members(structs: pa.StructArray) -> pa.Table:
    names = [member.name for member in structs.type]
    return pa.Table.from_arrays(structs.flatten(), names).filter(structs.is_valid())
