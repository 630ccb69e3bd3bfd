import pytest
from migrations.conditional_put import Answer, verdict

pytestmark = pytest.mark.must(16)

WON, LOST, UNKNOWN = Answer.WON, Answer.LOST, Answer.UNKNOWN


def judge(answers: list[Answer], stored: int | None) -> str | None:
    winners = [racer for racer, answer in enumerate(answers) if answer is WON]
    return verdict(winners, answers, stored)


def test_one_winner_whose_body_stands_is_right() -> None:
    assert judge([LOST, WON, LOST], 1) is None


def test_a_broken_connection_may_hide_the_winner_or_a_loser() -> None:
    assert judge([LOST, UNKNOWN, LOST], 1) is None
    assert judge([UNKNOWN, WON, LOST], 1) is None


@pytest.mark.parametrize(
    ("answers", "stored", "found"),
    [
        ([WON, WON, LOST], 0, "2 winners among 3 racers"),
        ([WON, LOST, LOST], 1, "a racer that was told it had lost"),
        ([WON, UNKNOWN, LOST], 1, "a racer that was told it had lost"),
        ([WON, LOST, LOST], None, "a body that nobody sent"),
    ],
)
def test_anything_else_is_named(answers: list[Answer], stored: int | None, found: str) -> None:
    problem = judge(answers, stored)
    assert problem is not None
    assert found in problem
