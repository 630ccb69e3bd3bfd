import pytest
from stream_etl.engine import QueryDied, verdict
from stream_etl.stops import CheckpointDoesNotFit


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("[STATE_STORE_KEY_SCHEMA_NOT_COMPATIBLE] Provided key schema …", CheckpointDoesNotFit),
        ("[CANNOT_LOAD_STATE_STORE.CANNOT_READ_DELTA_FILE_NOT_EXISTS] …", CheckpointDoesNotFit),
        ("[CANNOT_LOAD_STATE_STORE.UNRELEASED_THREAD_ERROR] …", QueryDied),
        ("[CANNOT_LOAD_STATE_STORE.UNCATEGORIZED] …", QueryDied),
        ("java.io.IOException: No space left on device", QueryDied),
        ("ended\n=== Streaming Query ===\nplan with Malformed in its text", QueryDied),
    ],
)
def test_only_what_no_restart_can_mend_waits_for_a_person(said: str, kind: type[Exception]) -> None:
    assert type(verdict("live", RuntimeError(said))) is kind
