"""Numbered migration files: which are still to be applied, and whether those that were are unchanged."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

from migrations.errors import RefusedError


@dataclass(frozen=True)
class Migration:
    """One file, known by its name."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        """The SHA-256 of the text, as it is recorded where the file was applied."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def load(folder: str) -> list[Migration]:
    """Return the files of a folder of this package, in the order of their numbers."""
    paths = sorted((files("migrations") / folder).iterdir(), key=lambda path: path.name)
    return [Migration(path.name, path.read_text(encoding="utf-8")) for path in paths]


def pending(migrations: Iterable[Migration], applied: Mapping[str, str], where: str) -> list[Migration]:
    """Return the files not applied yet; raise RefusedError when an applied one has changed since.

    `applied` are recorded checksums by file name. Names this version does not know are a newer version's.
    """
    left = []
    for migration in migrations:
        recorded = applied.get(migration.name)
        if recorded is None:
            left.append(migration)
        elif recorded != migration.checksum:
            raise RefusedError(
                f"{migration.name} was applied to {where} with SHA-256 {recorded[:12]}… and now has "
                f"{migration.checksum[:12]}…: nothing was changed. Restore the file, and put the change "
                "into a new one with the next number"
            )
    return left
