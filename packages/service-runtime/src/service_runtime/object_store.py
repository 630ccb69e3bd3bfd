"""What the services ask of an object store.

`s3.py` is the real thing, `testing.object_store` the fake; `testing.object_store_suite` proves both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class StoreUnavailable(Exception):  # noqa: N818 (a state of the world, not a mistake)
    """Not now: no answer, or a refusal an operator can lift. A write that raises it may have happened."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object's body and its user metadata (lower-case names)."""

    body: bytes
    metadata: Mapping[str, str]


class ObjectStore(Protocol):
    """A bucket. Every call raises StoreUnavailable, and no other error, when no definite answer came.

    A 200 without what every S3 sends is no answer either: nothing is concluded from an empty body.
    """

    async def put_if_absent(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        """Create the object; False when the key is taken, be it by this call, whose first answer was lost.

        Concurrent callers whose connections hold: exactly one True.
        """

    async def metadata(self, key: str) -> Mapping[str, str] | None:
        """Return the object's user metadata, or None when there is no such object."""

    async def get(self, key: str) -> StoredObject | None:
        """Return the object, or None when there is no such object."""

    async def list_keys(self, prefix: str, start_after: str = "") -> list[str]:
        """Return all keys with the prefix that are greater than `start_after`, in byte order."""

    async def list_folders(self, prefix: str) -> list[str]:
        """Return the distinct path segments right below `prefix`, each with its slash, in byte order."""
