"""One run of the demo: what was posted, where the receipts say it lies, and which pins are its own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec
from pin_emulator import reference
from pin_schema.clean import CleanPin

from reconcile.errors import DemoError
from reconcile.offsets import OffsetRange, Position
from reconcile.rejected import RejectedPin


@dataclass(frozen=True, slots=True)
class Run:
    """What tells the run's pins from all others: where they lie, and whose they are."""

    posted: int
    log: str
    positions: set[Position]
    span: OffsetRange

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        partial.write_bytes(msgspec.json.encode(self))
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Run":
        """Read what `save` wrote; raises DemoError."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            raise DemoError(f"{path} is not there: run `pinflow-demo post` first") from None
        except msgspec.ValidationError as error:
            raise DemoError(
                f"{path} is of another version ({error}): run `pinflow-demo post` again"
            ) from None

    def clean(self, pins: Mapping[UUID, CleanPin]) -> list[CleanPin]:
        """The run's among a store's clean pins."""
        ids = reference_ids()
        return [
            pin
            for key, pin in pins.items()
            if key in ids and self._holds(pin.source_log, (pin.source_partition, pin.source_offset))
        ]

    def rejected(self, pins: Iterable[RejectedPin]) -> list[RejectedPin]:
        """The run's among a store's rejected pins, each once."""
        ids = reference_ids()
        found = {pin.unique_id: pin for pin in pins if self._holds(pin.record[0], pin.position)}
        return [pin for key, pin in found.items() if key in ids]

    def _holds(self, log: str, position: Position) -> bool:
        return log == self.log and position in self.span


def reference_ids() -> set[UUID]:
    """The distinct pins of the reference dataset."""
    return {UUID(msgspec.json.decode(pin)["unique_id"]) for pin in reference.pins()}
