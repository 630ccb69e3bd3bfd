"""Waiting without an event loop, and being told to stop meanwhile."""

import pytest
from batch_etl.errors import Interrupted
from batch_etl.exits import Exit
from batch_etl.patience import patiently
from batch_etl.steps import Notes, Steps
from batch_etl.stopping import Stopping


class Away(Exception):  # noqa: N818
    pass


def failing(times: int) -> list[Exception]:
    return [Away("away") for _ in range(times)]


def test_it_asks_again_ever_more_slowly() -> None:
    failures, pauses = failing(6), list[float]()

    def call() -> str:
        if failures:
            raise failures.pop()
        return "answer"

    assert patiently(call, (Away,), 60, pauses.append) == "answer"
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0]


def test_after_the_time_it_raises_what_it_heard_last() -> None:
    def call() -> None:
        raise Away("still away")

    with pytest.raises(Away, match="still away"):
        patiently(call, (Away,), 0.1)


def test_somebody_who_waits_hears_that_the_run_is_to_end() -> None:
    stopping = Stopping()
    stopping.ask(Exit.TERMINATED)

    def call() -> None:
        raise Away("away")

    with pytest.raises(Interrupted):
        patiently(call, (Away,), 60, stopping.sleep)


class Told:
    def __init__(self) -> None:
        self.lines: list[tuple[str, Notes]] = []

    def began(self, step: str) -> None:
        pass

    def ended(self, step: str, seconds: float, notes: Notes) -> None:
        self.lines.append((step, notes))


def test_steps_are_timed_and_told_and_repeated_ones_add_up() -> None:
    told, seconds = Told(), {"load": 5.0}
    steps = Steps(told, Stopping(), seconds)
    with steps("load") as notes:
        notes["records"] = 3
    assert told.lines == [("load", {"records": 3})]
    assert seconds["load"] >= 5.0


def test_no_step_begins_once_the_run_is_to_end() -> None:
    stopping = Stopping()
    stopping.ask(Exit.TERMINATED)
    with pytest.raises(Interrupted), Steps(Told(), stopping, {})("load"):
        pytest.fail("the step began")
