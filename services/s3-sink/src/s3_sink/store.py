"""The archive in the bucket: store an object once, find the newest one. Waits out the store's absence."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import structlog
from pin_schema.archive import PREFIX, CorruptObject, ObjectKey, ObjectMetadata
from service_runtime.clock import Clock
from service_runtime.object_store import ObjectStore, StoreUnavailable
from service_runtime.patience import until_answered
from service_runtime.readiness import Dependency

from s3_sink.batch import SealedObject
from s3_sink.stops import CorruptArchive

log = structlog.get_logger(__name__)

# After a leader change the broker's clock may step back over the hour: the newest object of a partition
# can then lie in the hour before its newest hour.
HOURS_TO_COMPARE = 2

T = TypeVar("T")


class Archive:
    """One bucket's archive, as the sink's chains see it."""

    def __init__(self, store: ObjectStore, s3: Dependency, clock: Clock) -> None:
        self._store = store
        self._s3 = s3
        self._clock = clock

    async def store(self, sealed: SealedObject) -> ObjectMetadata:
        """Return the object that stands at the key: ours, or another member's that was first.

        A refusal (412) and a missing answer are the same question: what is there now?
        """
        return await self._until_answered(lambda: self._try_to_store(sealed))

    async def _try_to_store(self, sealed: SealedObject) -> ObjectMetadata:
        key = str(sealed.key)
        why = "the key was taken, and then it was not"
        try:
            if await self._store.put_if_absent(key, sealed.body, sealed.metadata.to_dict()):
                return sealed.metadata
        except StoreUnavailable as error:
            why = str(error)
            log.warning("no answer to a write, looking what is there", key=key, why=why)
        standing = await self._store.metadata(key)
        if standing is None:
            raise StoreUnavailable(why)
        return _read(key, standing)

    async def newest(self, partition: int) -> ObjectMetadata | None:
        """Return the object of the partition with the greatest offsets, or None."""
        keys = await self._until_answered(lambda: self._newest_keys(partition))
        if not keys:
            return None
        newest = str(max(keys, key=lambda key: key.start))
        metadata = await self._until_answered(lambda: self._store.metadata(newest))
        return None if metadata is None else _read(newest, metadata)

    async def _newest_keys(self, partition: int) -> list[ObjectKey]:
        """Return the partition's keys in its newest hours."""
        found: list[ObjectKey] = []
        hours = 0
        for day in reversed(await self._store.list_folders(PREFIX)):
            for hour in reversed(await self._store.list_folders(PREFIX + day)):
                keys = await self._store.list_keys(f"{PREFIX}{day}{hour}p={partition:02d}/")
                found.extend(_parse(key) for key in keys)
                hours += bool(keys)
                if hours == HOURS_TO_COMPARE:
                    return found
        return found

    async def _until_answered(self, question: Callable[[], Awaitable[T]]) -> T:
        answer = await until_answered(question, StoreUnavailable, self._clock, self._s3.down)
        self._s3.up()
        return answer

    async def probe(self) -> None:
        """Ask the store for an object that is not there, to learn whether it answers."""
        try:
            await self._store.metadata(f"{PREFIX}probe")
        except StoreUnavailable as error:
            self._s3.down(str(error))
        else:
            self._s3.up()


def _parse(key: str) -> ObjectKey:
    try:
        return ObjectKey.parse(key)
    except CorruptObject as error:
        raise CorruptArchive(str(error)) from error


def _read(key: str, metadata: Mapping[str, str]) -> ObjectMetadata:
    try:
        return ObjectMetadata.from_dict(metadata)
    except CorruptObject as error:
        raise CorruptArchive(f"{key}: {error}") from error
