"""An object store in memory, with faults a test can switch on."""

import asyncio
from collections.abc import Mapping

from service_runtime.clock import Clock, SystemClock
from service_runtime.object_store import StoredObject, StoreUnavailable


class InMemoryObjectStore:
    """A dictionary, with faults.

    `away` refuses everything, `refuses_puts` the writes only, `lose_answers` makes that many writes happen
    unanswered, `empty_lists` gives that many LISTs an answer without a body, the keys in `dangling` are
    listed without an object behind them, `latency` is how long a call takes in seconds, and while `open` is
    cleared every call waits. A write on its way is not recalled when its sender dies.

    `puts` and `lists` count calls, `in_flight` the writes that have no answer yet.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.objects: dict[str, StoredObject] = {}
        self.away = False
        self.refuses_puts = False
        self.empty_lists = 0
        self.dangling: set[str] = set()
        self.lose_answers = 0
        self.latency = 0.0
        self.open = asyncio.Event()
        self.open.set()
        self.puts = self.lists = self.in_flight = 0

    async def _arrive(self) -> None:
        await asyncio.sleep(0)  # a real call always gives other tasks a turn
        await self.open.wait()
        if self.latency:
            await self._clock.sleep(self.latency)
        if self.away:
            raise StoreUnavailable("the object store is away")

    async def put_if_absent(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        """Create the object; False when the key is taken."""
        return await asyncio.shield(asyncio.ensure_future(self._put(key, body, metadata)))

    async def _put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        self.in_flight += 1
        try:
            return await self._create(key, body, metadata)
        finally:
            self.in_flight -= 1

    async def _create(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        await self._arrive()
        self.puts += 1
        if self.refuses_puts:
            raise StoreUnavailable("PutObject: AccessDenied")
        self.dangling.discard(key)
        created = key not in self.objects
        if created:
            self.objects[key] = StoredObject(bytes(body), dict(metadata))
        if self.lose_answers > 0:
            self.lose_answers -= 1
            raise StoreUnavailable("the connection was reset before an answer came")
        return created

    async def metadata(self, key: str) -> Mapping[str, str] | None:
        """Return the object's user metadata, or None."""
        found = await self.get(key)
        return None if found is None else found.metadata

    async def get(self, key: str) -> StoredObject | None:
        """Return the object, or None."""
        await self._arrive()
        return None if key in self.dangling else self.objects.get(key)

    async def list_keys(self, prefix: str, start_after: str = "") -> list[str]:
        """Return all keys with the prefix that are greater than `start_after`, in byte order."""
        await self._arrive()
        self.lists += 1
        if self.empty_lists > 0:
            self.empty_lists -= 1
            raise StoreUnavailable("ListObjectsV2: the answer has no Name, KeyCount, IsTruncated")
        keys = (key for key in self.objects.keys() | self.dangling if key.startswith(prefix))
        return sorted((key for key in keys if key.encode() > start_after.encode()), key=str.encode)

    async def list_folders(self, prefix: str) -> list[str]:
        """Return the distinct path segments right below `prefix`, each with its slash."""
        rests = [key.removeprefix(prefix) for key in await self.list_keys(prefix)]
        return sorted({rest.split("/")[0] + "/" for rest in rests if "/" in rest}, key=str.encode)
