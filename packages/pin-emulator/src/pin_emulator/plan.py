"""The plan of the reference dataset: every printed count is a quota, dealt like cards."""

from collections.abc import Iterator

from pin_emulator.accounts import Poster, posters
from pin_emulator.counts import IMAGE, NO_DESCRIPTION, NO_IMAGE, REFERENCE_COUNTS, STORY, VIDEO
from pin_emulator.dealer import Dealer
from pin_emulator.pin import Page, Plan

_LINK = "https://i.pinimg.com/originals/{folders}/{digits}.jpg"
_STILL = "https://i.pinimg.com/videos/thumbnails/originals/{folders}/{digits}.0000001.jpg"

UNREADABLE = Page(STORY, NO_IMAGE, downloaded=False, readable=False)
UNKNOWN = Page(None, None, downloaded=False)

_STORY_ERRORS = REFERENCE_COUNTS.image_errors - REFERENCE_COUNTS.user_info_errors
_TAG_ERRORS = REFERENCE_COUNTS.tag_errors - REFERENCE_COUNTS.user_info_errors
_UNSAVED = REFERENCE_COUNTS.downloaded["0"] - REFERENCE_COUNTS.rejected

# Pages that nobody is known to have posted, and pages of an account. An image that could not be read is a
# story's, because the original's scraper failed on story pages.
NAMELESS_PAGES = {
    UNREADABLE: REFERENCE_COUNTS.user_info_errors,
    UNKNOWN: REFERENCE_COUNTS.image_nulls,
}
ACCOUNT_PAGES = {
    Page(IMAGE, _LINK): REFERENCE_COUNTS.media[IMAGE],
    Page(VIDEO, _STILL): REFERENCE_COUNTS.media[VIDEO] - _UNSAVED,
    Page(VIDEO, _STILL, downloaded=False): _UNSAVED,
    Page(STORY, _LINK): REFERENCE_COUNTS.media[STORY] - REFERENCE_COUNTS.image_errors,
    Page(STORY, NO_IMAGE, downloaded=False): _STORY_ERRORS,
}


def plans(dealer: Dealer) -> list[Plan]:
    """Return the plans of all distinct pins, shuffled."""
    categories = [name for name, quota in REFERENCE_COUNTS.categories.items() for _ in range(quota)]
    nameless = sum(NAMELESS_PAGES.values())
    hands = _Hands(dealer)
    line = zip(categories, posters(categories, nameless, dealer), strict=True)
    return dealer.shuffled(hands.plan(category, poster) for category, poster in line)


class _Hands:
    """The decks that a plan's page, description and tags are drawn from."""

    def __init__(self, dealer: Dealer) -> None:
        flat = sum(quota for page, quota in ACCOUNT_PAGES.items() if page.media != STORY)
        self._nameless_pages = iter(dealer.deal(NAMELESS_PAGES))
        self._account_pages = iter(dealer.deal(ACCOUNT_PAGES))
        self._described = _yes_or_no(REFERENCE_COUNTS.descriptions[NO_DESCRIPTION], flat, dealer)
        self._tagged = _yes_or_no(_TAG_ERRORS, sum(ACCOUNT_PAGES.values()), dealer)

    def plan(self, category: str, poster: Poster | None) -> Plan:
        """Draw the plan of the next pin."""
        if poster is None:
            page = next(self._nameless_pages)
            return Plan(category, page, poster, described=page.readable, tagged=page.readable)
        page = next(self._account_pages)
        described = page.media != STORY and next(self._described)
        return Plan(category, page, poster, described=described, tagged=next(self._tagged))


def _yes_or_no(no: int, total: int, dealer: Dealer) -> Iterator[bool]:
    return iter(dealer.deal({True: total - no, False: no}))
