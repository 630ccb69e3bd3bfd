from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from stream_etl.checkpoint import Checkpoint
from stream_etl.resume import (
    LogRange,
    Position,
    Written,
    require_same_batches,
    require_same_log,
    require_same_record,
)
from stream_etl.stops import DeletedByRetention, LedgerDisagrees, LogTruncated

pytestmark = pytest.mark.must(27)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CHECKPOINT = Checkpoint("id", planned_batch=4, finished_batch=3, resume_from={0: 10}, planned_to={0: 15})


@pytest.mark.parametrize("held", [LogRange(0, 15), LogRange(10, 15), LogRange(3, 99)])
def test_a_log_that_holds_all_that_is_to_be_read_is_the_same(held: LogRange) -> None:
    require_same_log(CHECKPOINT, {0: held, 1: LogRange(0, 5)})


def test_a_log_that_ends_before_what_was_read_lost_records() -> None:
    with pytest.raises(LogTruncated, match="up to 15, where the log ends at 14"):
        require_same_log(CHECKPOINT, {0: LogRange(0, 14)})


def test_a_topic_without_the_partition_lost_records() -> None:
    with pytest.raises(LogTruncated, match="does not have"):
        require_same_log(CHECKPOINT, {1: LogRange(0, 99)})


def test_records_gone_before_they_were_read_are_named() -> None:
    with pytest.raises(DeletedByRetention, match=r"records 10\.\.11 are gone"):
        require_same_log(CHECKPOINT, {0: LogRange(12, 20)})


def test_the_record_at_the_last_position_must_be_of_the_same_time() -> None:
    require_same_record(0, Position(14, NOON), NOON)
    for found in (None, NOON + timedelta(milliseconds=1)):
        with pytest.raises(LogTruncated, match="offset 14"):
            require_same_record(0, Position(14, NOON), found)


def test_a_ledger_ahead_of_the_checkpoint_disagrees() -> None:
    for last in (3, 4):
        require_same_batches(CHECKPOINT, Written(last, {}))
    with pytest.raises(LedgerDisagrees, match="batch 5"):
        require_same_batches(CHECKPOINT, Written(5, {}))


def test_a_ledger_behind_the_checkpoint_disagrees() -> None:
    for last in (None, 2):
        with pytest.raises(LedgerDisagrees, match=f"has finished batch 3, .* is {last}"):
            require_same_batches(CHECKPOINT, Written(last, {}))
    require_same_batches(replace(CHECKPOINT, finished_batch=None), Written(None, {}))
