import pytest
from s3_sink.continuity import continuing
from s3_sink.resume import Proof
from s3_sink.stops import DeletedByRetention, TopicRecreated
from service_runtime.testing.broker import StoredRecord


def records(*offsets: int, timestamp: int = 100) -> list[StoredRecord]:
    return [StoredRecord(offset, timestamp, None, b"{}") for offset in offsets]


PROOF = Proof(offset=4, timestamp=100)


def test_the_proof_itself_is_not_appended() -> None:
    assert [r.offset for r in continuing(records(4, 5, 6), 5, PROOF, 0)] == [5, 6]


def test_the_proof_may_be_all_there_is() -> None:
    assert continuing(records(4), 5, PROOF, 0) == []


def test_another_time_at_the_proofs_offset_is_another_log() -> None:
    with pytest.raises(TopicRecreated):
        continuing(records(4, timestamp=99), 5, PROOF, 0)


def test_a_proof_that_is_missing_though_retention_left_it_is_another_log() -> None:
    with pytest.raises(TopicRecreated):
        continuing(records(7), 5, PROOF, 0)


def test_a_proof_that_retention_took_meanwhile_is_not_missed() -> None:
    assert [r.offset for r in continuing(records(5, 6), 5, PROOF, 5)] == [5, 6]


def test_a_jump_over_deleted_records_is_a_loss_and_one_over_markers_is_not() -> None:
    assert [r.offset for r in continuing(records(9), 5, None, 5)] == [9]
    with pytest.raises(DeletedByRetention, match=r"5\.\.7"):
        continuing(records(9), 5, None, 8)


def test_a_step_back_is_another_log() -> None:
    with pytest.raises(TopicRecreated, match="went back to 3"):
        continuing(records(3), 5, None, 0)
