"""The cleaning rules again in plain Python: what tests compare Spark, Cassandra and PostgreSQL with.

Independent on purpose: it shares no code and no constant with `cleaning`, so that each can prove the other.
Raw pins are dicts of RawPin's fields, `event_time` (aware datetime), and `source_log`, `source_partition` and
`source_offset`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any
from uuid import UUID

import msgspec

from pin_schema.clean import CleanPin
from pin_schema.wire import decode

_WHITE_SPACE = "".join(
    map(chr, [*range(0x9, 0xE), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029])
) + "\u202f\u205f\u3000"  # fmt: skip
_SENTINELS = {
    "title": {"No Title Data Available"},
    "description": {"No description available", "No description available Story format"},
    "poster_name": {"User Info Error"},
    "follower_count": {"User Info Error"},
    "tag_list": {"N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"},
    "image_src": {"Image src error."},
}
_COUNT = re.compile(
    r"(?P<whole>[0-9]{1,19}|[0-9]{1,3}(?:,[0-9]{3}){1,6})(?P<part>\.[0-9]{1,18})?(?P<unit>[kKmMbB]?)"
)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}
_INT64_MAX = 2**63 - 1

Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A pin that is kept apart: why, and as it came."""

    reason: str
    raw: Raw


def raw_pin(log: str, partition: int, offset: int, timestamp: int, value: bytes | None) -> Raw:
    """The pin of a record of the topic (its time in ms); raises InvalidPin when it is none."""
    return msgspec.structs.asdict(decode(value or b"")[0]) | {
        "event_time": moment(timestamp),
        "source_log": log,
        "source_partition": partition,
        "source_offset": offset,
    }


def moment(timestamp: int) -> datetime:
    """The event time of a record, from the broker's milliseconds; exact, where floats are not."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=timestamp)


def clean(raw: Raw) -> CleanPin | Rejected:
    """What becomes of one valid RawPin."""
    image_src = known_text(raw, "image_src")
    if image_src is None:
        return Rejected("no_image", raw)
    return CleanPin(
        idx=raw["index"],
        title=known_text(raw, "title"),
        poster_name=known_text(raw, "poster_name"),
        category=known_text(raw, "category"),
        follower_count=follower_count(raw),
        description=known_text(raw, "description"),
        image_src=image_src,
        is_image_or_video=known_text(raw, "is_image_or_video"),
        tag_list=tag_list(raw),
        unique_id=UUID(raw["unique_id"]),
        downloaded={0: False, 1: True}.get(raw.get("downloaded", -1)),
        save_location=save_location(raw),
        event_time=raw["event_time"],
        source_log=raw["source_log"],
        source_partition=raw["source_partition"],
        source_offset=raw["source_offset"],
    )


def catalogue(raws: Iterable[Raw]) -> tuple[dict[UUID, CleanPin], dict[UUID, Rejected]]:
    """The newest valid version and the newest rejected version of every pin, by unique_id."""
    valid: dict[UUID, CleanPin] = {}
    rejected: dict[UUID, Rejected] = {}
    for raw in _oldest_first(raws):
        match clean(raw):
            case CleanPin() as pin:
                valid[pin.unique_id] = pin
            case Rejected() as pin:
                rejected[UUID(raw["unique_id"])] = pin
    return valid, rejected


def known_text(raw: Raw, field: str) -> str | None:
    """The field's text without NULs and white space around it; None when empty or the field's sentinel."""
    text = _stripped(raw.get(field) or "")
    return None if not text or text in _SENTINELS.get(field, ()) else text


def follower_count(raw: Raw) -> int | None:
    """The printed count as a number, rounded half up; None when unknown, unreadable or beyond int64."""
    found = _COUNT.fullmatch(known_text(raw, "follower_count") or "")
    if not found:
        return None
    number = Decimal(found["whole"].replace(",", "") + (found["part"] or ""))
    with localcontext(prec=60):
        count = int((number * _UNITS[found["unit"].lower()]).to_integral_value(ROUND_HALF_UP))
    return count if count <= _INT64_MAX else None


def tag_list(raw: Raw) -> list[str] | None:
    """The tags in order without empty ones; None when none is left."""
    tags = (known_text(raw, "tag_list") or "").split(",")
    return [tag for tag in map(_stripped, tags) if tag] or None


def save_location(raw: Raw) -> str | None:
    """The path without the words before it; None when there is no path."""
    location = known_text(raw, "save_location") or ""
    if location == "Local save in":
        return None
    return _stripped(location.removeprefix("Local save in ")) or None


def _stripped(text: str) -> str:
    return text.replace("\0", "").strip(_WHITE_SPACE)


def _oldest_first(raws: Iterable[Raw]) -> list[Raw]:
    """Within a partition of a log the offset decides, else the greatest time so far."""
    ahead: dict[tuple[str, int], timedelta] = {}
    numbered = []
    for raw in sorted(raws, key=lambda raw: int(raw["source_offset"])):
        place = raw["source_log"], raw["source_partition"]
        offset = timedelta(microseconds=raw["source_offset"])
        since = raw["event_time"] - datetime.fromtimestamp(0, UTC) - offset
        ahead[place] = max(since, ahead.get(place, since))
        numbered.append((offset + ahead[place], raw["source_partition"], raw))
    return [raw for *_, raw in sorted(numbered, key=lambda one: one[:2])]
