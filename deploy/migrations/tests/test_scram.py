import base64
import secrets

import pytest
from migrations.errors import RefusedError
from migrations.scram import verifier
from pydantic import SecretStr

# The exchange that RFC 7677 shows, and what a PostgreSQL server keeps of its password.
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
KEPT = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def test_it_is_what_the_server_itself_would_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_bytes", lambda size: SALT)
    assert verifier("user", SecretStr("pencil")) == KEPT


def test_the_same_password_is_never_kept_twice_alike() -> None:
    assert verifier("user", SecretStr("pencil")) != verifier("user", SecretStr("pencil"))


@pytest.mark.parametrize("password", ["pässword", "two\nlines", "\u00a0"])
def test_what_clients_would_prepare_differently_is_refused(password: str) -> None:
    with pytest.raises(RefusedError, match="'user' in PostgreSQL must be printable ASCII"):
        verifier("user", SecretStr(password))
