import pytest
from migrations import versions
from migrations.errors import RefusedError
from migrations.versions import Migration

FIRST = Migration("0001_a.sql", "CREATE TABLE a ();")
SECOND = Migration("0002_b.sql", "CREATE TABLE b ();")


def test_what_is_recorded_is_not_applied_again() -> None:
    assert versions.pending([FIRST, SECOND], {FIRST.name: FIRST.checksum}, "a database") == [SECOND]


def test_an_applied_file_that_changed_is_refused_by_name() -> None:
    changed = Migration(FIRST.name, FIRST.text + " -- better")
    with pytest.raises(RefusedError) as caught:
        versions.pending([changed, SECOND], {FIRST.name: FIRST.checksum}, "PostgreSQL")
    message = str(caught.value)
    assert "0001_a.sql was applied to PostgreSQL" in message
    assert FIRST.checksum[:12] in message
    assert changed.checksum[:12] in message
    assert "new one with the next number" in message


def test_files_of_a_newer_version_are_left_alone() -> None:
    applied = {FIRST.name: FIRST.checksum, "0009_later.sql": "x"}
    assert versions.pending([FIRST], applied, "a database") == []


@pytest.mark.parametrize("folder", ["cassandra_files", "postgres_files"])
def test_files_are_numbered_without_gaps(folder: str) -> None:
    names = [migration.name for migration in versions.load(folder)]
    assert [int(name.split("_")[0]) for name in names] == list(range(1, len(names) + 1))
