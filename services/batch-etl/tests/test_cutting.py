"""Parts hold everything in order, and none is too large."""

from batch_etl.cutting import cut
from hypothesis import given
from hypothesis import strategies as st

SIZES = st.lists(st.integers(min_value=0, max_value=100))


@given(SIZES)
def test_batches_hold_all_rows_in_order_within_both_limits(sizes: list[int]) -> None:
    parts = [sizes[part] for part in cut(sizes, most=4, most_bytes=120)]
    assert [size for part in parts for size in part] == sizes
    for part in parts:
        assert 1 <= len(part) <= 4
        assert sum(part) <= 120


def test_a_row_beyond_the_limit_is_alone() -> None:
    assert list(cut([1, 500, 1], most=20, most_bytes=100)) == [slice(0, 1), slice(1, 2), slice(2, 3)]
