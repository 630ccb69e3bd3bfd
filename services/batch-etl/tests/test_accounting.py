"""The account of a run holds, or there is none."""

from dataclasses import replace

import pytest
from batch_etl.accounting import Tally, balance
from batch_etl.errors import Unbalanced
from pin_schema.archive_stream import VerifiedObject

pytestmark = pytest.mark.must(21)

VERIFIED = {"a": VerifiedObject(9, 10, 100, "s"), "b": VerifiedObject(4, 5, 50, "t")}
TALLY = Tally(
    judged={("a", None): 8, ("a", "not_json"): 2, ("b", None): 5},
    distinct=10,
    clean={"a": 4, "b": 5},
    rejected={("a", "no_image"): 1},
)


def test_every_record_is_clean_duplicate_or_rejected() -> None:
    account = balance(VERIFIED, TALLY)
    assert (account.read, account.clean, account.duplicate) == (15, 9, 3)
    assert account.rejected == {"no_image": 1, "not_json": 2}
    assert account.objects["a"].duplicate == 3


def test_an_object_without_pins_balances_too() -> None:
    account = balance({"a": VerifiedObject(0, 1, 10, "s")}, Tally({("a", "no_value"): 1}, 0, {}, {}))
    assert (account.clean, account.duplicate, account.rejected) == (0, 0, {"no_value": 1})


@pytest.mark.parametrize(
    "tally",
    [
        replace(TALLY, judged={**TALLY.judged, ("a", None): 7}),
        replace(TALLY, judged={**TALLY.judged, ("b", None): 6}),
        replace(TALLY, clean={"a": 4, "b": 6}, distinct=11),
        replace(TALLY, judged={**TALLY.judged, ("c", None): 1}),
        replace(TALLY, clean={"a": 3, "b": 5}),
        replace(TALLY, rejected={}),
    ],
    ids=[
        "a record is missing",
        "a record is doubled",
        "a pin came from nowhere",
        "an unknown object",
        "a clean pin is lost",
        "a rejected pin is lost",
    ],
)
def test_counts_that_do_not_add_up_are_an_error(tally: Tally) -> None:
    with pytest.raises(Unbalanced):
        balance(VERIFIED, tally)
