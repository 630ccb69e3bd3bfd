"""What PostgreSQL keeps of a password, and takes in its place: so it never hears the password itself."""

import base64
import hashlib
import hmac
import secrets

from pydantic import SecretStr

from migrations.errors import RefusedError

# As many as PostgreSQL's own `scram_iterations`.
ITERATIONS = 4096
SALT_BYTES = 16


def verifier(role: str, password: SecretStr) -> str:
    """Return `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey` (RFC 5803), with a new salt.

    Raises RefusedError for what SASLprep (RFC 4013) would change or forbid: clients differ in it.
    """
    told = password.get_secret_value()
    if not (told.isascii() and told.isprintable()):
        raise RefusedError(f"the password of {role!r} in PostgreSQL must be printable ASCII")
    salt = secrets.token_bytes(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", told.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(_signed(salted, b"Client Key")).digest()
    keys = f"{_text(stored)}:{_text(_signed(salted, b'Server Key'))}"
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${keys}"


def _signed(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
