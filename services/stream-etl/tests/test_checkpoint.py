import json
from pathlib import Path

import pytest
from pin_schema.logs import FORMAT_1_LOG
from stream_etl.checkpoint import Checkpoint, Checkpoints, unnamed_checkpoints
from stream_etl.stops import CheckpointDoesNotFit

LOG = "t1a2b3c4d"


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    found = Checkpoints(tmp_path / "checkpoints", "pins", LOG)
    found.claim()
    return found


def spark_writes(checkpoints: Checkpoints, **files: str) -> None:
    """Files as Spark lays them out; `__` stands for a slash."""
    for name, text in files.items():
        path = checkpoints.of("live") / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


METADATA = '{"id":"42e7057b-64be-4cf7-80bf-0bcffd0c0fcf"}'


def planned(**offsets: int) -> str:
    by_partition = {partition.removeprefix("p"): offset for partition, offset in offsets.items()}
    return "v1\n{}\n" + json.dumps({"pins": by_partition})


def test_a_query_resumes_behind_its_last_finished_batch(checkpoints: Checkpoints) -> None:
    spark_writes(
        checkpoints, metadata=METADATA, offsets__8=planned(p0=5, p1=6), offsets__9=planned(p0=7, p1=6)
    )
    spark_writes(checkpoints, offsets__10=planned(p0=7, p1=9), commits__8="v1", commits__9="v1")
    expected = Checkpoint("42e7057b-64be-4cf7-80bf-0bcffd0c0fcf", 10, 9, {0: 7, 1: 6}, {0: 7, 1: 9})
    assert checkpoints.read("live") == expected


def test_an_unfinished_first_batch_resumes_where_the_source_began(checkpoints: Checkpoints) -> None:
    begin = '\0v1\n{"pins":{"0":3}}'
    spark_writes(checkpoints, metadata=METADATA, offsets__0=planned(p0=9), sources__0__0=begin)
    found = checkpoints.read("live")
    assert found is not None
    assert (found.resume_from, found.planned_to) == ({0: 3}, {0: 9})


def test_a_query_that_never_ran_has_no_checkpoint(checkpoints: Checkpoints) -> None:
    assert checkpoints.read("live") is None


@pytest.mark.parametrize("text", ["", "v1", "v1\n{}\nnull", 'v1\n{}\n{"other":{"0":1}}'])
def test_offsets_that_cannot_be_read_do_not_fit(checkpoints: Checkpoints, text: str) -> None:
    spark_writes(checkpoints, metadata=METADATA, offsets__0=text, commits__0="v1")
    with pytest.raises(CheckpointDoesNotFit, match="cannot be read"):
        checkpoints.read("live")


def test_a_checkpoint_belongs_to_one_topic(checkpoints: Checkpoints, tmp_path: Path) -> None:
    spark_writes(checkpoints, metadata=METADATA)
    checkpoints.claim()
    with pytest.raises(CheckpointDoesNotFit, match="was made for"):
        Checkpoints(tmp_path / "checkpoints", "others", LOG).claim()


def test_a_checkpoint_that_does_not_say_what_it_is_for_does_not_fit(
    checkpoints: Checkpoints, tmp_path: Path
) -> None:
    spark_writes(checkpoints, metadata=METADATA)
    (tmp_path / "checkpoints" / LOG / "plan.json").unlink()
    with pytest.raises(CheckpointDoesNotFit, match="does not say"):
        checkpoints.claim()


def test_each_log_has_checkpoints_of_its_own(checkpoints: Checkpoints, tmp_path: Path) -> None:
    spark_writes(checkpoints, metadata=METADATA)
    other = Checkpoints(tmp_path / "checkpoints", "pins", "t00000007")
    other.claim()
    assert checkpoints.are_used
    assert not other.are_used


def test_checkpoints_that_name_no_log_are_adopted_by_the_one_that_they_fit(tmp_path: Path) -> None:
    before = Checkpoints(tmp_path, "pins", LOG)
    before.claim()
    spark_writes(before, metadata=METADATA)
    for path in (tmp_path / LOG).iterdir():
        path.rename(tmp_path / path.name)
    (tmp_path / LOG).rmdir()
    unnamed = unnamed_checkpoints(tmp_path, "pins")
    assert (unnamed.log, unnamed.are_used) == (FORMAT_1_LOG, True)
    now = Checkpoints(tmp_path, "pins", LOG)
    now.adopt(unnamed)
    now.claim()
    assert now.query_id("live") == json.loads(METADATA)["id"]
    assert not unnamed_checkpoints(tmp_path, "pins").are_used
