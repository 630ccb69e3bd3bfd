"""A stand-in: the name it bears, the folder of its Dockerfile, what goes into it."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from native_stack import cache
from native_stack.builds import Build

from images.ingredients import IMAGES, Ingredient

LABEL = "org.pinflow.stand-in"
INPUTS_LABEL = f"{LABEL}.inputs"


@dataclass(frozen=True)
class StandIn:
    """An image under an official name, made here; `bases` are the stand-ins its Dockerfile names."""

    name: str
    folder: str
    bases: tuple["StandIn", ...] = ()
    ingredients: tuple[Ingredient, ...] = ()
    kind: str = "true"

    @property
    def directory(self) -> Path:
        """Where the Dockerfile lies."""
        return IMAGES / self.folder

    @cached_property
    def inputs(self) -> str:
        """A hash that changes whenever the image would."""
        own = [path.read_bytes() for path in self._own_files()]
        names = [self.name, self.kind, *(item.identity for item in self.ingredients)]
        bases = [base.inputs for base in self.bases]
        return cache.input_hash([*own, *(text.encode() for text in [*names, *bases])])

    def lineage(self) -> set[str]:
        """Return its name and those of all it is built from."""
        return {self.name}.union(*(base.lineage() for base in self.bases))

    def builds(self) -> list[Build]:
        """Return the cache entries that must be there before the image can be built."""
        return [build for item in self.ingredients if (build := item.build())]

    def write_context(self, target: Path, cache_dir: Path) -> None:
        """Write the build context as one tar file."""
        # buildx knows a tar by its first bytes, where the default format puts an extension of its own.
        with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
            for path in self._own_files():
                tar.add(path, path.relative_to(self.directory))
            for item in self.ingredients:
                # An empty folder too: COPY fails on one that is missing.
                tar.add(IMAGES, item.folder, recursive=False)
                for name, path in item.files(cache_dir):
                    tar.add(path, Path(item.folder) / name)

    def _own_files(self) -> Iterator[Path]:
        yield from (path for path in sorted(self.directory.rglob("*")) if path.is_file())
