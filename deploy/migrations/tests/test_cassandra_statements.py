from migrations import versions
from migrations.cassandra import FOLDER, statements


def test_comments_go_and_semicolons_part() -> None:
    text = "-- a; comment\nCREATE TABLE a (\n    -- why; so\n    x int\n);\n\nCREATE TABLE b (y int);\n"
    assert statements(text) == ["CREATE TABLE a (\n\n    x int\n)", "CREATE TABLE b (y int)"]


def test_every_statement_can_be_repeated() -> None:
    # Cassandra has no transactions: a migration that was interrupted is run again from its start.
    for migration in versions.load(FOLDER):
        assert all(" IF NOT EXISTS " in statement for statement in statements(migration.text))


def test_no_column_is_an_unfrozen_collection() -> None:
    # A repeated write would double the elements of a plain list.
    for migration in versions.load(FOLDER):
        for kind in ("list<", "map<", "set<"):
            assert migration.text.count(kind) == migration.text.count(f"frozen<{kind}")
