"""May the queries go on where their checkpoint says? The log must be the one that was read. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stream_etl.checkpoint import Checkpoint
from stream_etl.stops import DeletedByRetention, LedgerDisagrees, LogTruncated


@dataclass(frozen=True, slots=True)
class Position:
    """A record of a partition: its offset, its event time."""

    offset: int
    event_time: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """How far PostgreSQL is with a query: its last batch in the ledger, its last record by partition."""

    last_batch: int | None
    positions: Mapping[int, Position]


@dataclass(frozen=True, slots=True)
class LogRange:
    """What a partition holds: from its first offset to the one after its last."""

    start: int
    end: int


def require_same_log(checkpoint: Checkpoint, log: Mapping[int, LogRange]) -> None:
    """Raise the StreamStop that says why the queries must not go on."""
    for partition, planned_to in checkpoint.planned_to.items():
        end = log[partition].end if partition in log else None
        if end is None or planned_to > end:
            raise LogTruncated(
                f"the checkpoint has read partition {partition} up to {planned_to}, "
                + ("which the topic does not have" if end is None else f"where the log ends at {end}")
            )
    for partition, offset in checkpoint.resume_from.items():
        start = log[partition].start
        if offset < start:
            raise DeletedByRetention(
                f"the checkpoint goes on at {offset} in partition {partition}, where the log begins at "
                f"{start}: records {offset}..{start - 1} are gone"
            )


def require_same_batches(checkpoint: Checkpoint, written: Written) -> None:
    """Raise LedgerDisagrees when one of the two has batches that the other does not know."""
    finished = checkpoint.finished_batch
    if finished is not None and (written.last_batch is None or written.last_batch < finished):
        raise LedgerDisagrees(
            f"the checkpoint {checkpoint.query_id} has finished batch {finished}, "
            f"the last one of it in the database is {written.last_batch}"
        )
    if written.last_batch is not None and written.last_batch > checkpoint.planned_batch:
        raise LedgerDisagrees(
            f"the checkpoint {checkpoint.query_id} has come to batch {checkpoint.planned_batch}, "
            f"the database holds batch {written.last_batch} of it"
        )


def require_same_record(partition: int, written: Position, found: datetime | None) -> None:
    """Compare the last record written with what the log holds at its offset (None: nothing any more)."""
    if found != written.event_time:
        raise LogTruncated(
            f"the last record written of partition {partition}, offset {written.offset}, is of "
            f"{written.event_time.isoformat()}; the log holds "
            + ("none there" if found is None else f"one of {found.isoformat()}")
        )
