"""Where a partition of a log goes on: behind its newest object, wherever that is found first."""

from dataclasses import dataclass

from pin_schema.archive import ObjectKey, ObjectMetadata
from pin_schema.logs import FORMAT_1_LOG, log_name
from pin_schema.versions import Versions, lead_after
from service_runtime.broker import Commit, LogIdentity

from s3_sink.archive import Archive
from s3_sink.resume import Bookmark, LogRange, ResumePoint, behind, require_undeleted
from s3_sink.stops import CommitBeyondArchive

SECONDS_PER_HOUR = 3600
SECONDS_PER_DAY = 24 * SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Place:
    """Where to go on, how versions are numbered there, and the time (ms) of the record before, if known.

    `joins_format_1` says that the archive before it names no log: the last record decides whether it is ours.
    """

    point: ResumePoint
    versions: Versions
    last_ts: int | None = None
    joins_format_1: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A partition of a log as Kafka has it, with the group's commit."""

    partition: int
    identity: LogIdentity
    log: LogRange
    commit: Commit | None

    @property
    def name(self) -> str:
        """The short name of the log."""
        return log_name(self.identity.topic_id)

    @property
    def bookmark(self) -> Bookmark | None:
        """The commit, when it is one of this log."""
        found = Bookmark.read(self.commit)
        return found if found is not None and found.log == self.name else None


class Placing:
    """Finds places in one archive, whose objects may expire with age."""

    def __init__(self, archive: Archive, expire_days: int | None) -> None:
        self._archive = archive
        self._expire_days = expire_days

    async def place(self, asked: Question, now: float, *, format_1: bool) -> Place:
        """Return where to go on; raises PartitionStop.

        `format_1` says that the objects which name no log may be of this one.
        """
        bookmark = asked.bookmark
        newest = await self._newest(asked.name, asked.partition, bookmark)
        if bookmark is not None and (newest is None or newest.end + 1 < bookmark.offset):
            return self._behind_expired(bookmark, newest, asked.log, now)
        if newest is not None:
            return Place(behind(newest, asked.log), Versions(newest.lead), newest.last_ts)
        return (await self._behind_format_1(asked) if format_1 else None) or await self._new_log(asked)

    async def _newest(self, of: str, partition: int, bookmark: Bookmark | None) -> ObjectMetadata | None:
        """Look from the object on that the commit names, else through all days."""
        if bookmark is not None:
            newest = await self._archive.newest_behind(ObjectKey.parse(bookmark.object))
            if newest is not None:
                return newest
        return await self._archive.newest(of, partition)

    def _behind_expired(
        self, bookmark: Bookmark, newest: ObjectMetadata | None, log: LogRange, now: float
    ) -> Place:
        age_days = (now - bookmark.last_ts / 1000) / SECONDS_PER_DAY
        if self._expire_days is None or age_days < self._expire_days:
            goes_on = "is empty" if newest is None else f"goes on at {newest.end + 1}"
            raise CommitBeyondArchive(
                f"the group has committed {bookmark.offset} with {bookmark.object}, which is not there, and "
                f"the partition's archive {goes_on}: records up to {bookmark.offset - 1} would be missing"
            )
        require_undeleted(bookmark.offset, log.start)
        return Place(ResumePoint(bookmark.offset), Versions(bookmark.lead), bookmark.last_ts)

    async def _behind_format_1(self, asked: Question) -> Place | None:
        """Go on behind objects that name no log, if they may be of this one."""
        newest = await self._archive.newest(FORMAT_1_LOG, asked.partition)
        owner = await self._archive.format_1_owner()
        if newest is None or owner not in {None, asked.identity.topic_id}:
            return None
        if owner is None and newest.end >= asked.log.end:
            return None
        point = behind(newest, asked.log)
        return Place(point, Versions(newest.lead), newest.last_ts, joins_format_1=owner is None)

    async def _new_log(self, asked: Question) -> Place:
        """Begin where the log begins, with versions above those of every log before."""
        version = await self._archive.greatest_version(asked.partition, besides=asked.name)
        start = asked.log.start
        versions = Versions() if version is None else Versions(lead_after(version, start))
        return Place(ResumePoint(start), versions)
