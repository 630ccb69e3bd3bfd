"""The archive in the bucket: store an object once, find the newest one. Waits out the store's absence."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar
from uuid import UUID

import structlog
from pin_schema.archive import (
    FORMAT_1_OWNER,
    PREFIX,
    CorruptObject,
    ObjectKey,
    ObjectMetadata,
    log_prefix,
    partition_prefix,
)
from pin_schema.logs import FORMAT_1_LOG
from service_runtime.clock import Clock
from service_runtime.object_store import ObjectStore, StoreUnavailable
from service_runtime.patience import until_answered
from service_runtime.readiness import Dependency

from s3_sink.open_object import SealedObject
from s3_sink.stops import CorruptArchive

log = structlog.get_logger(__name__)

PUT, HEAD, LIST = "PutObject", "HeadObject", "ListObjects"

# One may be listed and be gone: the one before it then leads to the same place.
CANDIDATES = 3
RELIST_SECONDS = 1.0

Newest = Mapping[int, list[ObjectKey]]
"By partition, the keys with the greatest offsets, the greatest first."

T = TypeVar("T")


class Archive:
    """One bucket's archive, as the partitions of this process see it."""

    def __init__(self, store: ObjectStore, s3: Dependency, clock: Clock) -> None:
        self._store = store
        self._s3 = s3
        self._clock = clock
        self._walks: dict[str, asyncio.Task[Newest]] = {}

    async def store(self, sealed: SealedObject) -> ObjectMetadata:
        """Return the object that stands at the key: ours, or another member's that was first.

        A refusal (412) and a missing answer are the same question: what is there now?
        """
        key, metadata = str(sealed.key), sealed.metadata.to_dict()
        return await self._until_answered(lambda: self._put(key, sealed.body, metadata), PUT)

    async def own_format_1(self, topic_id: UUID) -> UUID:
        """Write down, once for ever, whose log the objects of format 1 are of; return the one that stands."""
        owner = {"topic_id": str(topic_id)}
        standing = await self._until_answered(lambda: self._create(FORMAT_1_OWNER, b"", owner), PUT)
        return UUID(standing["topic_id"])

    async def format_1_owner(self) -> UUID | None:
        """Return the topic whose log the objects of format 1 are of, when that is known."""
        found = await self._until_answered(lambda: self._store.metadata(FORMAT_1_OWNER), HEAD)
        return None if found is None else UUID(found["topic_id"])

    async def _put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> ObjectMetadata:
        return _read(key, await self._create(key, body, metadata))

    async def _create(self, key: str, body: bytes, metadata: Mapping[str, str]) -> Mapping[str, str]:
        why = "the key was taken, and then it was not"
        try:
            if await self._store.put_if_absent(key, body, metadata):
                return metadata
        except StoreUnavailable as error:
            why = str(error)
            log.warning("no answer to a write, looking what is there", key=key, why=why)
        standing = await self._store.metadata(key)
        if standing is None:
            raise StoreUnavailable(why)
        return standing

    async def metadata(self, key: str) -> ObjectMetadata | None:
        """Return what an object says of itself, or None when there is no such object."""
        found = await self._until_answered(lambda: self._store.metadata(key), HEAD)
        return None if found is None else _read(key, found)

    async def newest_behind(self, key: ObjectKey) -> ObjectMetadata | None:
        """Return the newest object at or behind a known one, looked for from its hour on; None if it is gone.

        What lies in later hours is not searched: whoever stores at its key is told that it is there.
        """
        newest = await self.metadata(str(key))
        while newest is not None:
            prefixes = [partition_prefix(key.log, hour, key.partition) for hour in (key.hour, key.hour + 1)]
            listed = [text for prefix in prefixes for text in await self._keys(prefix, str(key))]
            later = await self._first_that_is_there(
                found for found in _parsed(listed) if found.start > key.start
            )
            if later is None:
                return newest
            key, newest = later
        return None

    async def newest(self, of: str, partition: int) -> ObjectMetadata | None:
        """Return the newest object of a log's partition, or None; looks through all days."""
        while keys := (await self._walked(of)).get(partition):
            if (found := await self._first_that_is_there(keys)) is not None:
                return found[1]
            await self._clock.sleep(RELIST_SECONDS)
        return None

    async def _walked(self, of: str) -> Newest:
        """Return the newest keys of a log; partitions that look at the same time share one walk."""
        if of not in self._walks:
            self._walks[of] = asyncio.create_task(self._walk(of))
            self._walks[of].add_done_callback(lambda _: self._walks.pop(of))
        return await asyncio.shield(self._walks[of])

    async def _walk(self, of: str) -> Newest:
        newest: defaultdict[int, list[ObjectKey]] = defaultdict(list)
        for day in await self._folders(log_prefix(of)):
            if day.startswith("dt="):
                for key in _parsed(await self._keys(log_prefix(of) + day)):
                    known = newest[key.partition]
                    known.append(key)
                    known.sort(key=lambda key: -key.start)
                    del known[CANDIDATES:]
        return newest

    async def greatest_version(self, partition: int, besides: str) -> int | None:
        """Return the greatest version that other logs hold of a partition, or None when they hold none."""
        folders = await self._folders(PREFIX)
        logs = [folder[len("log=") : -1] for folder in folders if folder.startswith("log=")]
        newest = [await self.newest(other, partition) for other in (FORMAT_1_LOG, *logs) if other != besides]
        return max((found.end + found.lead for found in newest if found is not None), default=None)

    async def _first_that_is_there(
        self, keys: Iterable[ObjectKey]
    ) -> tuple[ObjectKey, ObjectMetadata] | None:
        """Return the newest of the keys that has an object: one may be listed and yet be gone."""
        for key in sorted(keys, key=lambda key: -key.start):
            if (found := await self.metadata(str(key))) is not None:
                return key, found
        return None

    async def _keys(self, prefix: str, start_after: str = "") -> list[str]:
        return await self._until_answered(lambda: self._store.list_keys(prefix, start_after), LIST)

    async def _folders(self, prefix: str) -> list[str]:
        return await self._until_answered(lambda: self._store.list_folders(prefix), LIST)

    async def _until_answered(self, question: Callable[[], Awaitable[T]], operation: str) -> T:
        def waiting(why: str) -> None:
            self._s3.down(why, operation)

        answer = await until_answered(question, StoreUnavailable, self._clock, waiting)
        self._s3.up(operation)
        return answer

    def close(self) -> None:
        """End what nobody waits for any more."""
        for walk in self._walks.values():
            walk.cancel()

    async def probe(self) -> None:
        """Ask the store for an object that is not there, to learn whether it answers."""
        try:
            await self._store.metadata(f"{PREFIX}probe")
        except StoreUnavailable as error:
            self._s3.down(str(error), HEAD)
        else:
            self._s3.up(HEAD)


def _parsed(keys: Iterable[str]) -> Iterable[ObjectKey]:
    """Read keys; what somebody else has put among them is passed over."""
    for text in keys:
        try:
            yield ObjectKey.parse(text)
        except CorruptObject:
            log.warning("a key in the archive is not one of ours; move it elsewhere", key=text)


def _read(key: str, metadata: Mapping[str, str]) -> ObjectMetadata:
    try:
        return ObjectMetadata.from_dict(metadata)
    except CorruptObject as error:
        raise CorruptArchive(f"{key}: {error}") from error
