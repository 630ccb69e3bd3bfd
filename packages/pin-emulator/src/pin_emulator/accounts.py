"""Who posts: the accounts, how many pins each has, how many followers, and in which category."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, repeat
from operator import itemgetter

from pin_emulator.counts import REFERENCE_COUNTS
from pin_emulator.dealer import Dealer
from pin_emulator.text import poster_name

Poster = tuple[str, str]  # name and follower count

# The source knows the followers of the first two; the other followers, and all homes, are ours.
TOP_FOLLOWERS = {
    "YourTango": "942k",
    "Bored Panda": "2M",
    "Our Mindful Life": "12k",
    "The Minds Journal": "5M",
    "Walmart": "2M",
    "BuzzFeed": "6M",
}
TOP_HOMES = {
    "YourTango": "quotes",
    "Bored Panda": "art",
    "Our Mindful Life": "quotes",
    "The Minds Journal": "quotes",
    "Walmart": "christmas",
    "BuzzFeed": "diy-and-crafts",
}


@dataclass(frozen=True, slots=True)
class _Account:
    """A poster with that many pins; it gets its name where its category is known."""

    name: str | None
    followers: str
    pins: int


def posters(categories: Sequence[str], nameless: int, dealer: Dealer) -> Iterator[Poster | None]:
    """Give each pin of a line of categories its poster; None is nobody's pin.

    The accounts are laid along the line, so that each stays in one category or two neighbours.
    """
    crowd = [*_accounts(len(categories) - nameless, dealer), *repeat(None, nameless)]
    places = [_place(account, categories, dealer) for account in crowd]
    names = set(TOP_HOMES)
    at = 0
    for _, account in sorted(zip(places, crowd, strict=True), key=itemgetter(0)):
        if account is None:
            yield None
            at += 1
            continue
        name = account.name or _new_name(categories[at], names, dealer)
        yield from repeat((name, account.followers), account.pins)
        at += account.pins


def _place(account: _Account | None, categories: Sequence[str], dealer: Dealer) -> int:
    if account and account.name:
        home = TOP_HOMES[account.name]
        return categories.index(home) + categories.count(home) // 4
    return dealer.below(len(categories))


def _new_name(category: str, taken: set[str], dealer: Dealer) -> str:
    name = poster_name(category, dealer)
    while name in taken:
        name = poster_name(category, dealer)
    taken.add(name)
    return name


def _accounts(pins: int, dealer: Dealer) -> list[_Account]:
    """Deal that many pins to accounts, and each account its followers, biggest account first."""
    top = [_Account(name, TOP_FOLLOWERS[name], size) for name, size in REFERENCE_COUNTS.top_posters.items()]
    room = _follower_quotas(pins)
    for account in top:
        room[account.followers] -= account.pins
    deck = dealer.deal(room)
    others = []
    for size in _other_sizes(pins - sum(account.pins for account in top)):
        # The biggest choose first, so that the many with one pin can fill every quota to its last place.
        followers = dealer.pick(deck)
        while room[followers] < size:
            followers = dealer.pick(deck)
        room[followers] -= size
        others.append(_Account(None, followers, size))
    return top + others


def _other_sizes(pins: int) -> Iterator[int]:
    """Sizes by Zipf-Mandelbrot from rank 7 on (80 pins, just below BuzzFeed's 81), then one pin each."""
    for rank in count(len(REFERENCE_COUNTS.top_posters) + 1):
        if pins == 0:
            return
        size = min(pins, max(1, 2_400 // (rank + 23)))
        pins -= size
        yield size


def _follower_quotas(pins: int) -> dict[str, int]:
    """How many pins carry each follower count: the six printed, and all others below the least of them."""
    quotas = dict(REFERENCE_COUNTS.top_follower_counts)
    for millions in range(1, 11):
        quotas.setdefault(f"{millions}M", 800 // (millions + 3))
    for thousands in range(1, 1_000):
        quotas.setdefault(f"{thousands}k", 1_800 // (thousands + 8))
    each, more = divmod(pins - sum(quotas.values()), 999)
    return quotas | {str(few): each + (few <= more) for few in range(1, 1_000)}
