"""Where the steps of a run are kept between one another."""

from contextlib import suppress
from typing import Protocol

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark import StorageLevel
from pyspark.sql import DataFrame


class Staging(Protocol):
    """Keeps steps for the time of a run. Never the only copy: the archive is."""

    def keep(self, step: str, frame: DataFrame) -> DataFrame:
        """Materialise the step and return a frame that reads it from where it is kept."""
        ...

    def check(self, error: Exception | None = None) -> None:
        """Raise StageLost when what was kept is no longer whole, or was the reason for the error."""
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

    def check(self, error: Exception | None = None) -> None:
        """Do nothing: Spark computes again what it has lost."""

    def discard(self) -> None:
        """Give the memory back; a Spark that is dead has done so."""
        with suppress(Py4JError, AttributeError, OSError):
            for frame in self._kept:
                frame.unpersist()
