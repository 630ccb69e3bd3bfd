"""Which days `--date` and `--until` mean."""

from datetime import date

import pytest
from batch_etl.days import Days

FIRST, MIDDLE, LAST = (date(2026, 3, day) for day in (1, 2, 3))


def taken(days: Days) -> list[str]:
    folders = ["dt=2026-02-28/", "dt=2026-03-01/", "dt=2026-03-02/", "dt=2026-03-03/", "dt=2026-03-04/"]
    return [folder[-3:-1] for folder in folders if days.take(folder)]


def test_a_day_alone_is_that_day() -> None:
    assert taken(Days.of(MIDDLE, None)) == ["02"]


def test_until_alone_is_everything_up_to_it() -> None:
    assert taken(Days.of(None, MIDDLE)) == ["28", "01", "02"]


def test_both_are_a_range_with_its_ends() -> None:
    assert taken(Days.of(FIRST, LAST)) == ["01", "02", "03"]


def test_neither_is_the_whole_archive() -> None:
    assert Days.of(None, None).are_all


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match="swap them"):
        Days.of(LAST, FIRST)


def test_a_folder_that_is_no_day_is_not_taken() -> None:
    assert not Days.of(FIRST, None).take("tmp/")
