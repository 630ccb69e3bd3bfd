"""Chance that falls the same way on every machine and every Python."""

import random
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Dealer:
    """Deals cards from a seed; the same seed always deals the same hand."""

    def __init__(self, seed: int) -> None:
        # `random()` alone has a sequence that Python promises to keep: `choice` and `shuffle` may change.
        self._random = random.Random(seed).random  # noqa: S311 (data to look at, not a secret)

    def chance(self) -> float:
        """Return a number in [0, 1)."""
        return self._random()

    def below(self, limit: int) -> int:
        """Return an integer in [0, limit)."""
        return int(self._random() * limit)

    def pick(self, cards: Sequence[T]) -> T:
        """Return one card and leave the deck as it is."""
        return cards[self.below(len(cards))]

    def shuffled(self, cards: Iterable[T]) -> list[T]:
        """Return all the cards in a new order (Fisher-Yates)."""
        deck = list(cards)
        for last in range(len(deck) - 1, 0, -1):
            other = self.below(last + 1)
            deck[last], deck[other] = deck[other], deck[last]
        return deck

    def deal(self, quotas: Mapping[T, int]) -> list[T]:
        """Return a shuffled deck that holds each card exactly as often as its quota says."""
        return self.shuffled(card for card, quota in quotas.items() for _ in range(quota))

    def hex(self, digits: int) -> str:
        """Return that many hexadecimal digits."""
        return "".join(self.pick("0123456789abcdef") for _ in range(digits))

    def uuid(self) -> str:
        """Return the text of a version 4 UUID."""
        return str(uuid.UUID(hex=self.hex(32), version=4))
