"""What Spark keeps of a query between runs: read here to judge whether it may go on, never written.

Spark's layout: `metadata` holds the query's id, `offsets/N` where batch N ends (written before it runs),
`commits/N` that it is done, `sources/0/0` where the first batch began.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from pin_schema.logs import FORMAT_1_LOG

from stream_etl.queries import PLAN
from stream_etl.stops import CheckpointDoesNotFit

Offsets = dict[int, int]
"The next offset to read, by partition."


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a query is: what it has finished, and the batch it has planned since."""

    query_id: str
    planned_batch: int
    finished_batch: int | None
    resume_from: Offsets
    planned_to: Offsets


class Checkpoints:
    """The checkpoints of one log: a folder a query, and a note of the plan and the topic they belong to."""

    def __init__(self, directory: Path, topic: str, log: str) -> None:
        self.log = log
        self._directory = directory / log
        self._topic = topic
        self._note = self._directory / "plan.json"

    def of(self, query: str) -> Path:
        """The folder of a query."""
        return self._directory / query

    def query_id(self, query: str) -> str:
        """The id that the query's checkpoint was made with."""
        return _query_id(self.of(query) / "metadata")

    @property
    def are_used(self) -> bool:
        """Whether a query has begun."""
        return any(self._directory.glob("*/metadata"))

    def adopt(self, other: "Checkpoints") -> None:
        """Make the other log's checkpoints these: it is this log."""
        self._directory.parent.mkdir(parents=True, exist_ok=True)
        other._directory.replace(self._directory)

    def claim(self) -> None:
        """Note plan and topic in a new directory; raise CheckpointDoesNotFit in one of another kind."""
        ours = {"plan": PLAN, "topic": self._topic}
        if not self.are_used:
            self._directory.mkdir(parents=True, exist_ok=True)
            partial = self._note.with_suffix(".partial")
            partial.write_text(json.dumps(ours))
            partial.replace(self._note)
            return
        try:
            found = json.loads(self._note.read_text())
        except (OSError, ValueError) as error:
            raise CheckpointDoesNotFit(f"{self._note} does not say what it is for: {error}") from error
        if found != ours:
            raise CheckpointDoesNotFit(f"{self._directory} was made for {found}, this job is {ours}")

    def read(self, query: str) -> Checkpoint | None:
        """How far the query is; None before its first batch. Raises CheckpointDoesNotFit."""
        path = self.of(query)
        planned, done = _newest(path / "offsets"), _newest(path / "commits")
        if planned is None:
            return None
        begin = path / "sources/0/0" if done is None else path / "offsets" / str(done)
        return Checkpoint(
            _query_id(path / "metadata"),
            planned,
            done,
            self._offsets(begin),
            self._offsets(path / "offsets" / str(planned)),
        )

    def _offsets(self, path: Path) -> Offsets:
        try:
            # The last line is the source's own: {"pins": {"0": 17}}.
            by_topic = json.loads(path.read_text().splitlines()[-1])
            return {int(partition): int(offset) for partition, offset in by_topic[self._topic].items()}
        except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
            raise _unreadable(path, error) from error


def unnamed_checkpoints(directory: Path, topic: str) -> Checkpoints:
    """The checkpoints that do not say which log they are of; they lay in the directory itself."""
    unnamed = Checkpoints(directory, topic, FORMAT_1_LOG)
    if (directory / "plan.json").exists():
        unnamed._directory.mkdir(exist_ok=True)
        for path in directory.iterdir():
            if path != unnamed._directory:
                path.rename(unnamed._directory / path.name)
    return unnamed


def _newest(folder: Path) -> int | None:
    return max((int(path.name) for path in folder.glob("*") if path.name.isdigit()), default=None)


def _query_id(path: Path) -> str:
    try:
        return str(json.loads(path.read_text())["id"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> CheckpointDoesNotFit:
    return CheckpointDoesNotFit(f"{path} cannot be read: {type(error).__name__}: {error}")
