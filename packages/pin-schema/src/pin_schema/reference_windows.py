"""The live windows again in plain Python: what tests and the demo compare PostgreSQL with.

Independent on purpose, like `reference`. Clean pins are given in any order; those that came too late for
their window are left out by the caller.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from pin_schema.clean import CleanPin

WINDOW = timedelta(seconds=10)
SESSION_GAP = timedelta(minutes=5)

WindowKey = tuple[datetime, str | None]


@dataclass(frozen=True, slots=True)
class Window:
    """What a window of one category holds; a pin counts once, by its first version in the window."""

    pins: int
    posters: int
    images: int
    videos: int
    max_follower_count: int | None


@dataclass(frozen=True, slots=True)
class Session:
    """Pins of one poster with less than five minutes between two of them; `end` is five after the last."""

    poster_name: str
    start: datetime
    end: datetime
    pins: int


def window_start(moment: datetime) -> datetime:
    """The start of the tumbling window that holds the moment."""
    return moment - (moment - datetime.fromtimestamp(0, UTC)) % WINDOW


def windows(pins: Iterable[CleanPin]) -> dict[WindowKey, Window]:
    """Every window by its start and category."""
    first: dict[tuple[datetime, UUID], CleanPin] = {}
    for pin in sorted(pins, key=lambda pin: (pin.source_partition, pin.source_offset)):
        first.setdefault((window_start(pin.event_time), pin.unique_id), pin)
    members: defaultdict[WindowKey, list[CleanPin]] = defaultdict(list)
    for (start, _), pin in first.items():
        members[start, pin.category].append(pin)
    return {key: _window(found) for key, found in members.items()}


def _window(pins: list[CleanPin]) -> Window:
    kinds = [pin.is_image_or_video or "" for pin in pins]
    return Window(
        pins=len(pins),
        posters=len({pin.poster_name for pin in pins} - {None}),
        images=sum(kind == "image" for kind in kinds),
        videos=sum(kind == "video" or kind.startswith("multi-video") for kind in kinds),
        max_follower_count=max((n for pin in pins if (n := pin.follower_count) is not None), default=None),
    )


def sessions(pins: Iterable[CleanPin]) -> list[Session]:
    """The sessions of all known posters; a pin posted again in a session counts once."""
    by_poster: defaultdict[str, list[CleanPin]] = defaultdict(list)
    for pin in sorted(pins, key=lambda pin: pin.event_time):
        if pin.poster_name is not None:
            by_poster[pin.poster_name].append(pin)
    return [session for name, found in by_poster.items() for session in _sessions(name, found)]


def _sessions(name: str, pins: list[CleanPin]) -> list[Session]:
    breaks = [i for i, (a, b) in enumerate(pairwise(pins), 1) if b.event_time - a.event_time > SESSION_GAP]
    bounds = pairwise([0, *breaks, len(pins)])
    return [_session(name, pins[start:end]) for start, end in bounds]


def _session(name: str, pins: list[CleanPin]) -> Session:
    end = pins[-1].event_time + SESSION_GAP
    return Session(name, pins[0].event_time, end, len({pin.unique_id for pin in pins}))
