"""The archive in the bucket: store an object once, find the newest one. Waits out the store's absence."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import structlog
from pin_schema.archive import PREFIX, CorruptObject, ObjectKey, ObjectMetadata
from service_runtime.clock import Clock
from service_runtime.object_store import ObjectStore, StoreUnavailable
from service_runtime.readiness import Dependency

from s3_sink.batch import SealedObject
from s3_sink.stops import CorruptArchive

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS = 0.2
MAX_RETRY_SECONDS = 5.0
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
        pause = FIRST_RETRY_SECONDS
        while True:
            standing = await self._try_to_store(sealed)
            if standing is not None:
                return standing
            await self._clock.sleep(pause)
            pause = min(pause * 2, MAX_RETRY_SECONDS)

    async def _try_to_store(self, sealed: SealedObject) -> ObjectMetadata | None:
        key = str(sealed.key)
        try:
            if await self._store.put_if_absent(key, sealed.body, sealed.metadata.to_dict()):
                self._s3.up()
                return sealed.metadata
        except StoreUnavailable as error:
            log.warning("no answer to a write, looking what is there", key=key, why=str(error))
        try:
            standing = await self._store.metadata(key)
        except StoreUnavailable as error:
            self._s3.down(str(error))
            return None
        return None if standing is None else _read(key, standing)

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
                found.extend(ObjectKey.parse(key) for key in keys)
                hours += bool(keys)
                if hours == HOURS_TO_COMPARE:
                    return found
        return found

    async def _until_answered(self, question: Callable[[], Awaitable[T]]) -> T:
        pause = FIRST_RETRY_SECONDS
        while True:
            try:
                answer = await question()
            except StoreUnavailable as error:
                self._s3.down(str(error))
            except CorruptObject as error:
                raise CorruptArchive(str(error)) from error
            else:
                self._s3.up()
                return answer
            await self._clock.sleep(pause)
            pause = min(pause * 2, MAX_RETRY_SECONDS)

    async def probe(self) -> None:
        """Ask the store for an object that is not there, to learn whether it answers."""
        try:
            await self._store.metadata(f"{PREFIX}probe")
        except StoreUnavailable as error:
            self._s3.down(str(error))
        else:
            self._s3.up()


def _read(key: str, metadata: Mapping[str, str]) -> ObjectMetadata:
    try:
        return ObjectMetadata.from_dict(metadata)
    except CorruptObject as error:
        raise CorruptArchive(f"{key}: {error}") from error
