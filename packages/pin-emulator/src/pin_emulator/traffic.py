"""Endless traffic that looks like the reference dataset, in pins never seen before."""

from collections import defaultdict, deque
from collections.abc import Iterator
from itertools import count

from pin_emulator.counts import REFERENCE_COUNTS
from pin_emulator.dealer import Dealer
from pin_emulator.pin import Plan, write
from pin_emulator.plan import plans

# Clients that post a pin again do so soon: one post in ten repeats one of the last thousand.
REPEAT_SHARE = 0.1
RECENT = 1_000


def traffic(seed: int) -> Iterator[bytes]:
    """Yield posts without end; the same seed yields the same posts.

    Categories are drawn by Zipf. Within one, a plan of the reference is drawn, so that posters are as popular
    and pins without an image as rare as there.
    """
    dealer = Dealer(seed)
    plans_of: dict[str, list[Plan]] = defaultdict(list)
    for plan in plans(dealer):
        plans_of[plan.category].append(plan)
    popular = dealer.deal(
        {name: 60 // rank for rank, name in enumerate(REFERENCE_COUNTS.categories, start=1)}
    )
    indexes = count(REFERENCE_COUNTS.distinct)
    recent: deque[bytes] = deque(maxlen=RECENT)
    while True:
        if recent and dealer.chance() < REPEAT_SHARE:
            yield dealer.pick(recent)
            continue
        pin = write(dealer.pick(plans_of[dealer.pick(popular)]), next(indexes), dealer)
        recent.append(pin)
        yield pin
