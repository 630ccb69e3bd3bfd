"""Where the steps of a run are kept between one another."""

from typing import Protocol

from pyspark import StorageLevel
from pyspark.sql import DataFrame


class Staging(Protocol):
    """Keeps steps for the time of a run. Never the only copy: the archive is."""

    def keep(self, step: str, frame: DataFrame) -> DataFrame:
        """Materialise the step and return a frame that reads it from where it is kept."""
        ...

    def check(self) -> None:
        """Raise StageLost when what was kept is no longer whole."""
        ...

    def discard(self) -> None:
        """Forget everything that was kept."""
        ...


class SparkStaging:
    """Keeps steps in Spark's own memory, and on its disks when they do not fit."""

    def __init__(self) -> None:
        self._kept: list[DataFrame] = []

    def keep(self, step: str, frame: DataFrame) -> DataFrame:  # noqa: ARG002
        """Persist the step; counting it is what materialises it."""
        kept = frame.persist(StorageLevel.MEMORY_AND_DISK)
        self._kept.append(kept)
        kept.count()
        return kept

    def check(self) -> None:
        """Do nothing: Spark computes again what it has lost."""

    def discard(self) -> None:
        """Give the memory back."""
        for frame in self._kept:
            frame.unpersist()
