"""Where an archive goes on, and whether records follow: decided without I/O."""

import pytest
from pin_schema.archive import ObjectKey, record_sha256
from s3_sink.resume import Bookmark, LastRecord, LogRange, ResumePoint, behind, following
from s3_sink.stops import ArchiveAheadOfTopic, DeletedByRetention, LogTruncated
from s3_sink.testing import metadata_of
from service_runtime.broker import Commit
from service_runtime.testing.broker import StoredRecord

LAST = LastRecord(offset=4, timestamp=100, sha256=record_sha256(None, b"{}"))
BEHIND = ResumePoint(5, LAST)
NO_KEY = '{"log": "t1a2b3c4d", "object": "raw/pins/x", "last_ts": 7, "lead": 5}'


def records(*offsets: int, timestamp: int = 100, value: bytes = b"{}") -> list[StoredRecord]:
    return [StoredRecord(offset, timestamp, None, value) for offset in offsets]


def test_the_last_record_itself_is_not_appended() -> None:
    assert [r.offset for r in following(records(4, 5, 6), BEHIND, 0)] == [5, 6]


def test_the_last_record_may_be_all_there_is() -> None:
    assert following(records(4), BEHIND, 0) == []


@pytest.mark.parametrize("found", [records(4, timestamp=99), records(4, value=b"[]"), records(7)])
def test_another_record_at_its_offset_or_none_means_a_truncated_log(found: list[StoredRecord]) -> None:
    with pytest.raises(LogTruncated):
        following(found, BEHIND, 0)


def test_format_1_knows_no_hash() -> None:
    point = ResumePoint(5, LastRecord(4, 100, None))
    assert [r.offset for r in following(records(4, 5, value=b"[]"), point, 0)] == [5]


def test_a_last_record_that_retention_took_meanwhile_is_not_missed() -> None:
    assert [r.offset for r in following(records(5, 6), BEHIND, 5)] == [5, 6]


def test_a_jump_over_deleted_records_is_a_loss_and_one_over_markers_is_not() -> None:
    assert [r.offset for r in following(records(9), ResumePoint(5), 5)] == [9]
    with pytest.raises(DeletedByRetention, match=r"5\.\.7"):
        following(records(9), ResumePoint(5), 8)


def test_a_step_back_is_a_truncated_log() -> None:
    with pytest.raises(LogTruncated, match="went back to 3"):
        following(records(3), ResumePoint(5), 0)


def test_an_archive_goes_on_behind_its_newest_object() -> None:
    newest = metadata_of(0, 9, last_ts=7)
    assert behind(newest, LogRange(0, 10)) == ResumePoint(10, LastRecord(9, 7, newest.last_sha256))
    assert behind(newest, LogRange(10, 12)) == ResumePoint(10)
    with pytest.raises(ArchiveAheadOfTopic, match="goes on at 10, the log ends at 9"):
        behind(newest, LogRange(0, 9))
    with pytest.raises(DeletedByRetention, match=r"10\.\.11"):
        behind(newest, LogRange(12, 20))


def test_a_bookmark_reads_back() -> None:
    bookmark = Bookmark(10, "t1a2b3c4d", str(ObjectKey("t1a2b3c4d", 0, 0, 5)), 7, 5)
    assert Bookmark.read(Commit(10, bookmark.metadata)) == bookmark


@pytest.mark.parametrize("metadata", ["", "elephants", "[]", "{}", '{"log": "t1a2b3c4d"}', NO_KEY])
def test_the_commit_of_somebody_else_is_no_bookmark(metadata: str) -> None:
    assert Bookmark.read(Commit(10, metadata)) is None
    assert Bookmark.read(None) is None
