"""The reference dataset: the same 20,226 posts, byte for byte, on every machine."""

from collections.abc import Iterator
from functools import cache

from pin_emulator.dealer import Dealer
from pin_emulator.pin import write
from pin_emulator.plan import plans

SEED = 20_226

# How many pins are posted once, twice, …: 11,154 pins and 9,072 repeats. The source prints only the sums.
TIMES_POSTED = {1: 5_042, 2: 3_892, 3: 1_600, 4: 500, 5: 120}


@cache
def pins() -> tuple[bytes, ...]:
    """Return every post in its order, repeats included; about 13 MB, made once a process."""
    dealer = Dealer(SEED)
    distinct = [write(plan, index, dealer) for index, plan in enumerate(plans(dealer))]
    times_posted = dealer.deal(TIMES_POSTED)
    return tuple(dealer.shuffled(_repeated(distinct, times_posted)))


def _repeated(distinct: list[bytes], times_posted: list[int]) -> Iterator[bytes]:
    for pin, times in zip(distinct, times_posted, strict=True):
        for _ in range(times):
            yield pin
