"""Where the receipts say the pins are."""

from pin_emulator.answers import Receipt

from native_stack.reconcile.offsets import Position


class Receipts:
    """The positions that the receipts of a run name."""

    def __init__(self) -> None:
        self.positions: set[Position] = set()

    def take(self, pairs: list[tuple[bytes, Receipt]]) -> None:
        """Remember where these pins are."""
        self.positions.update((receipt["partition"], receipt["offset"]) for _, receipt in pairs)
