"""What is to be loaded: the archive's objects minus the ledger's rows."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from pin_schema.archive import FORMAT_1_OWNER, PREFIX, ObjectKey
from service_runtime.object_store import ObjectStore

from batch_etl.days import Days

Partition = tuple[str, int]
"A log and its partition."
Start = tuple[str, int, int]
"A log, its partition and the first offset of an object."


@dataclass(frozen=True, slots=True)
class Work:
    """Objects to load, by key; and keys that are no object's, each with why."""

    objects: dict[str, ObjectKey] = field(default_factory=dict)
    set_aside: dict[str, str] = field(default_factory=dict)

    @property
    def partitions(self) -> set[Partition]:
        """The partitions of logs that the objects hold."""
        return {(key.log, key.partition) for key in self.objects.values()}

    def without(self, loaded: Collection[Start]) -> "Work":
        """The work that is left when the objects that start there are loaded."""
        left = {text: key for text, key in self.objects.items() if start_of(key) not in loaded}
        return Work(left, self.set_aside)

    def slices(self, size: int) -> Iterator["Work"]:
        """The objects in parts of at most `size`, in order."""
        objects = iter(self.objects.items())
        while part := dict(islice(objects, size)):
            yield Work(part)

    def by_day(self) -> dict[str, int]:
        """The number of objects of each day."""
        days = (text.partition("dt=")[2][: len("YYYY-MM-DD")] for text in self.objects)
        return dict(sorted(Counter(days).items()))


def start_of(key: ObjectKey) -> Start:
    """Where an object starts."""
    return key.log, key.partition, key.start


async def archive_keys(store: ObjectStore, days: Days) -> list[str]:
    """All keys of these days; raises StoreUnavailable."""
    if days.are_all:
        return await store.list_keys(PREFIX)
    top = await store.list_folders(PREFIX)
    logs = [PREFIX, *(PREFIX + folder for folder in top if folder.startswith("log="))]
    folders = [log + day for log in logs for day in await store.list_folders(log) if days.take(day)]
    return [key for folder in folders for key in await store.list_keys(folder)]


def work_of(keys: Iterable[str]) -> Work:
    """The work that a listing holds; what is no object's key is set aside."""
    work = Work()
    for text in keys:
        if text == FORMAT_1_OWNER:
            continue
        try:
            work.objects[text] = ObjectKey.parse(text)
        except ValueError as error:
            work.set_aside[text] = str(error)
    return work
