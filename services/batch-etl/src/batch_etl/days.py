"""Which days of the archive a run looks at. Pure."""

from dataclasses import dataclass
from datetime import date
from typing import Self


@dataclass(frozen=True, slots=True)
class Days:
    """UTC days, both ends inclusive; an open end is None."""

    first: date | None = None
    last: date | None = None

    @classmethod
    def of(cls, day: date | None, until: date | None) -> Self:
        """A day alone is that day, `until` alone everything up to it; raises ValueError when none is left."""
        if day and until and until < day:
            raise ValueError(f"the last day, {until}, is before the first, {day}: swap them")
        return cls(day, until or day)

    @property
    def are_all(self) -> bool:
        """Whether the whole archive is meant."""
        return self.first is None and self.last is None

    def take(self, folder: str) -> bool:
        """Whether a folder of the archive, `dt=YYYY-MM-DD/`, is one of these days."""
        try:
            day = date.fromisoformat(folder.removeprefix("dt=").removesuffix("/"))
        except ValueError:
            return False
        return (self.first or day) <= day <= (self.last or day)
