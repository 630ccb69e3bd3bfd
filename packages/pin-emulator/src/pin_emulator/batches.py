"""Hands pins out to workers, a batch at a time."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable

Pins = AsyncIterable[bytes] | Iterable[bytes]


class Batches:
    """Cuts pins into batches that many workers may ask for."""

    def __init__(self, pins: Pins, size: int) -> None:
        self._pins = _each(pins)
        self._size = size
        # An iterator has one caller at a time: while it waits for a pin, the other workers wait here.
        self._turn = asyncio.Lock()

    async def next(self) -> list[bytes]:
        """Return the next pins in their order, fewer at the end, none after it."""
        async with self._turn:
            batch: list[bytes] = []
            async for pin in self._pins:
                batch.append(pin)
                if len(batch) == self._size:
                    break
            return batch


async def _each(pins: Pins) -> AsyncIterator[bytes]:
    if isinstance(pins, AsyncIterable):
        async for pin in pins:
            yield pin
    else:
        for pin in pins:
            yield pin
