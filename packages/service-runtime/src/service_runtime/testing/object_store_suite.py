"""What every object store must do: subclass with an `object_store` fixture, fake or real."""

import asyncio
import uuid

import pytest

from service_runtime.object_store import ObjectStore


class ObjectStoreSuite:
    """The facts the sink relies on."""

    @pytest.fixture
    def prefix(self) -> str:
        """A prefix nobody else uses, so that the suite can share a bucket."""
        return f"raw/suite-{uuid.uuid4()}/"

    async def test_an_object_comes_back_as_it_was_put(self, object_store: ObjectStore, prefix: str) -> None:
        metadata = {"start": "0", "sha256": "ab" * 32}
        assert await object_store.put_if_absent(f"{prefix}a", b"\x00body", metadata)
        found = await object_store.get(f"{prefix}a")
        assert found is not None
        assert (found.body, dict(found.metadata)) == (b"\x00body", metadata)
        assert await object_store.metadata(f"{prefix}a") == metadata

    async def test_a_taken_key_keeps_its_first_body(self, object_store: ObjectStore, prefix: str) -> None:
        assert await object_store.put_if_absent(f"{prefix}a", b"first", {})
        assert not await object_store.put_if_absent(f"{prefix}a", b"second", {})
        found = await object_store.get(f"{prefix}a")
        assert found is not None
        assert found.body == b"first"

    async def test_of_concurrent_creators_exactly_one_wins(
        self, object_store: ObjectStore, prefix: str
    ) -> None:
        bodies = [f"body {n}".encode() for n in range(10)]
        won = await asyncio.gather(
            *(object_store.put_if_absent(f"{prefix}race", body, {}) for body in bodies)
        )
        assert sum(won) == 1
        found = await object_store.get(f"{prefix}race")
        assert found is not None
        assert found.body == bodies[won.index(True)]

    async def test_a_missing_object_is_none(self, object_store: ObjectStore, prefix: str) -> None:
        assert await object_store.get(f"{prefix}missing") is None
        assert await object_store.metadata(f"{prefix}missing") is None

    async def test_keys_are_listed_in_byte_order(self, object_store: ObjectStore, prefix: str) -> None:
        names = ["p=10/b", "p=01/a", "p=01/B", "p=2/c"]
        for name in names:
            await object_store.put_if_absent(prefix + name, b"", {})
        assert await object_store.list_keys(prefix) == sorted(prefix + name for name in names)

    async def test_a_list_starts_after_a_key_that_need_not_exist(
        self, object_store: ObjectStore, prefix: str
    ) -> None:
        for name in ["a/1", "a/2", "a/3", "b/1"]:
            await object_store.put_if_absent(prefix + name, b"", {})
        listed = [f"{prefix}a/{n}" for n in (1, 2, 3)]
        assert await object_store.list_keys(f"{prefix}a/", start_after="") == listed
        assert await object_store.list_keys(f"{prefix}a/", start_after="a key before the prefix") == listed
        assert await object_store.list_keys(f"{prefix}a/", start_after=f"{prefix}a/1") == listed[1:]
        assert await object_store.list_keys(f"{prefix}a/", start_after=f"{prefix}a/1+") == listed[1:]
        assert await object_store.list_keys(f"{prefix}a/", start_after=f"{prefix}a/3") == []
        assert await object_store.list_keys(f"{prefix}a/", start_after=f"{prefix}b/") == []

    async def test_folders_are_listed_once_each(self, object_store: ObjectStore, prefix: str) -> None:
        for name in ["hr=02/p=0/x", "hr=01/p=0/x", "hr=01/p=1/y"]:
            await object_store.put_if_absent(prefix + name, b"", {})
        assert await object_store.list_folders(prefix) == ["hr=01/", "hr=02/"]
        assert await object_store.list_folders(f"{prefix}none/") == []
