"""One number decides which version of a pin is newer."""

from hypothesis import given
from hypothesis import strategies as st
from pin_schema.versions import Versions, lead_after

AT = 1_800_000_000_000


def test_offsets_of_one_append_time_keep_their_order() -> None:
    versions = Versions()
    assert versions.of(999, AT) < versions.of(1000, AT)
    assert Versions().of(5, AT) < versions.of(1005, AT)


def test_a_version_is_near_the_append_time() -> None:
    assert Versions().of(7, AT) == AT * 1000


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(-(10**7), 10**7)), min_size=2))
def test_versions_grow_with_the_offset_whatever_the_clock_does(steps: list[tuple[int, int]]) -> None:
    versions, offset, numbers = Versions(), 0, []
    for gap, skew in steps:
        offset += gap
        numbers.append(versions.of(offset, AT + skew))
    assert numbers == sorted(set(numbers))


@given(st.lists(st.integers(-(10**7), 10**7), min_size=2), st.data())
def test_a_takeover_counts_the_same(skews: list[int], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(skews) - 1))
    one, first = Versions(), Versions()
    wanted = [one.of(offset, AT + skew) for offset, skew in enumerate(skews)]
    found = [first.of(offset, AT + skew) for offset, skew in enumerate(skews[:cut])]
    second = Versions(first.lead)
    found += [second.of(offset, AT + skew) for offset, skew in enumerate(skews[cut:], cut)]
    assert found == wanted


@given(st.integers(0, 2**62), st.integers(0, 2**40), st.integers(0, AT))
def test_a_new_log_starts_above_the_old_one(version: int, offset: int, timestamp: int) -> None:
    assert Versions(lead_after(version, offset)).of(offset, timestamp) > version
