"""How long the built-in role of a new cluster is waited for."""

import time

import pytest
from migrations.cassandra_accounts import BUILT_IN_WITHIN_SECONDS, BuiltIn


def test_the_wait_for_the_built_in_role_starts_when_cassandra_first_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    role = BuiltIn()
    # The server takes its time to come up; nobody was refused yet.
    now += 10 * BUILT_IN_WITHIN_SECONDS
    assert role.is_still_to_come()
    now += BUILT_IN_WITHIN_SECONDS - 1
    assert role.is_still_to_come()
    now += 1
    assert not role.is_still_to_come()
