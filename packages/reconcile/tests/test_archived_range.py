from pin_schema.archive import ObjectKey
from reconcile.archive import holding
from reconcile.offsets import OffsetRange


def keys(*places: tuple[int, int]) -> list[str]:
    return [str(ObjectKey("t1a2b3c4d", partition, start, 500_000)) for partition, start in places]


def test_a_range_counts_what_lies_in_it() -> None:
    span = OffsetRange({0: 5, 1: 0}, {0: 8, 1: 2})
    assert span.count == 5
    assert (0, 5) in span
    assert (0, 8) not in span
    assert (2, 0) not in span


def test_only_objects_that_may_hold_the_range_are_read() -> None:
    archive = keys((0, 0), (0, 10), (0, 20), (0, 30), (1, 0), (2, 0))
    assert holding(archive, OffsetRange({0: 15, 1: 0}, {0: 25, 1: 1})) == keys((0, 10), (0, 20), (1, 0))
    assert holding(archive, OffsetRange({0: 20}, {0: 21})) == keys((0, 20))


def test_an_empty_archive_holds_nothing() -> None:
    assert holding([], OffsetRange({0: 0}, {0: 5})) == []
