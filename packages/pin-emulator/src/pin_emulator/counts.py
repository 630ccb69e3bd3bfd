"""What the reference dataset holds: the printed counts, and a way to count any pins alike."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

NO_IMAGE = "Image src error."
NO_USER = "User Info Error"
NO_TITLE = "No Title Data Available"
NO_TAGS = "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"
NO_DESCRIPTION = "No description available"
NO_STORY_DESCRIPTION = "No description available Story format"

IMAGE = "image"
VIDEO = "video"
STORY = "multi-video(story page format)"
NULL = "null"

TOP = 6


class Counts(msgspec.Struct, frozen=True):
    """Counts of a dataset; all but `posted` and `repeats` are of its distinct pins."""

    posted: int
    distinct: int
    repeats: int
    clean: int
    rejected: int
    image_errors: int
    image_nulls: int
    user_info_errors: int
    title_errors: int
    tag_errors: int
    categories: dict[str, int]
    descriptions: dict[str, int]
    downloaded: dict[str, int]
    media: dict[str, int]
    top_follower_counts: dict[str, int]
    top_posters: dict[str, int]


# Source: docs of the original project, which printed these figures of its data; clean = distinct - rejected.
REFERENCE_COUNTS = Counts(
    posted=20_226,
    distinct=11_154,
    repeats=9_072,
    clean=10_824,
    rejected=330,
    image_errors=323,
    image_nulls=7,
    user_info_errors=88,
    title_errors=88,
    tag_errors=171,
    categories={
        "christmas": 999,
        "tattoos": 970,
        "quotes": 910,
        "art": 892,
        "education": 863,
        "home-decor": 861,
        "travel": 859,
        "mens-fashion": 852,
        "vehicles": 838,
        "diy-and-crafts": 830,
        "finance": 786,
        "event-planning": 748,
        "beauty": 746,
    },
    descriptions={NO_STORY_DESCRIPTION: 895, NO_DESCRIPTION: 182},
    downloaded={"1": 10_823, "0": 331},
    media={IMAGE: 9_920, STORY: 895, VIDEO: 332, NULL: 7},
    top_follower_counts={"2M": 375, "2k": 342, "4k": 261, "942k": 244, "5k": 235, "7k": 230},
    top_posters={
        "YourTango": 244,
        "Bored Panda": 140,
        "Our Mindful Life": 88,
        "The Minds Journal": 86,
        "Walmart": 86,
        "BuzzFeed": 81,
    },
)


def count(pins: Iterable[bytes]) -> Counts:
    """Count pins as the reference was counted; the top lists leave out nulls and "User Info Error"."""
    posted = list(pins)
    rows = [msgspec.json.decode(pin) for pin in dict.fromkeys(posted)]
    images = _column(rows, "image_src")
    posters = _column(rows, "poster_name")
    rejected = images[NO_IMAGE] + images[NULL]
    descriptions = _column(rows, "description")
    return Counts(
        posted=len(posted),
        distinct=len(rows),
        repeats=len(posted) - len(rows),
        clean=len(rows) - rejected,
        rejected=rejected,
        image_errors=images[NO_IMAGE],
        image_nulls=images[NULL],
        user_info_errors=posters[NO_USER],
        title_errors=_column(rows, "title")[NO_TITLE],
        tag_errors=_column(rows, "tag_list")[NO_TAGS],
        categories=dict(_column(rows, "category").most_common()),
        descriptions={text: descriptions[text] for text in (NO_STORY_DESCRIPTION, NO_DESCRIPTION)},
        downloaded=dict(_column(rows, "downloaded").most_common()),
        media=dict(_column(rows, "is_image_or_video").most_common()),
        top_follower_counts=_top(_column(rows, "follower_count")),
        top_posters=_top(posters),
    )


def _column(rows: list[dict[str, Any]], field: str) -> Counter[str]:
    values = (row.get(field) for row in rows)
    return Counter(NULL if value is None else str(value) for value in values)


def _top(column: Counter[str]) -> dict[str, int]:
    known = Counter({value: times for value, times in column.items() if value not in {NO_USER, NULL}})
    return dict(known.most_common(TOP))
