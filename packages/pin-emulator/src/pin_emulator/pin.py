"""One pin: what it is like (`Plan`), and its bytes on the wire."""

from dataclasses import dataclass

import msgspec
from msgspec import UNSET, UnsetType

from pin_emulator.accounts import Poster
from pin_emulator.counts import NO_DESCRIPTION, NO_STORY_DESCRIPTION, NO_TAGS, NO_TITLE, NO_USER, STORY
from pin_emulator.dealer import Dealer
from pin_emulator.text import Writer


class Pin(msgspec.Struct):
    """A pin as clients post it; the fields are in the order of the original's JSON."""

    index: int
    unique_id: str
    title: str
    description: str
    poster_name: str | UnsetType
    follower_count: str | None
    tag_list: str
    is_image_or_video: str | None
    image_src: str | None
    downloaded: int
    save_location: str
    category: str


@dataclass(frozen=True, slots=True)
class Page:
    """What the scraper found of a pin; `image_src` is a pattern of links, or what stands there instead."""

    media: str | None
    image_src: str | None
    downloaded: bool = True
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is decided of a pin before its text is written."""

    category: str
    page: Page
    poster: Poster | None
    described: bool
    tagged: bool


def write(plan: Plan, index: int, dealer: Dealer) -> bytes:
    """Return a new pin of that plan as compact UTF-8 JSON."""
    writer, page = Writer(plan.category, dealer), plan.page
    nobody = (UNSET, None) if page.readable else (NO_USER, NO_USER)
    poster_name, follower_count = plan.poster or nobody
    pin = Pin(
        index=index,
        unique_id=dealer.uuid(),
        title=writer.title() if page.readable else NO_TITLE,
        description=_description(plan, writer),
        poster_name=poster_name,
        follower_count=follower_count,
        tag_list=writer.tags() if plan.tagged else NO_TAGS,
        is_image_or_video=page.media,
        image_src=page.image_src and _link(page.image_src, dealer),
        downloaded=int(page.downloaded),
        save_location=f"Local save in /data/{plan.category}",
        category=plan.category,
    )
    return msgspec.json.encode(pin)


def _description(plan: Plan, writer: Writer) -> str:
    if plan.page.media == STORY:
        return NO_STORY_DESCRIPTION
    return writer.description() if plan.described else NO_DESCRIPTION


def _link(pattern: str, dealer: Dealer) -> str:
    digits = dealer.hex(32)
    return pattern.format(folders=f"{digits[:2]}/{digits[2:4]}/{digits[4:6]}", digits=digits)
