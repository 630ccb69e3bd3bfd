"""Endless traffic, and the pace it is posted at."""

import asyncio
import json
import time
from collections import Counter
from itertools import islice, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pin_emulator import reference
from pin_emulator.pace import BURST_SECONDS, Schedule, paced
from pin_emulator.traffic import RECENT, traffic
from pin_schema import wire


@pytest.fixture(scope="module")
def posts() -> list[bytes]:
    return list(islice(traffic(seed=7), 10_000))


def test_the_same_seed_gives_the_same_posts_and_another_seed_others(posts: list[bytes]) -> None:
    assert list(islice(traffic(seed=7), 100)) == posts[:100]
    assert not set(islice(traffic(seed=8), 100)) & set(posts)


def test_every_pin_of_the_traffic_meets_the_contract(posts: list[bytes]) -> None:
    for pin in posts:
        assert wire.decode(pin)[1] == 0


def test_the_pins_are_new(posts: list[bytes]) -> None:
    known = {json.loads(pin)["unique_id"] for pin in reference.pins()}
    fresh = [json.loads(pin)["unique_id"] for pin in dict.fromkeys(posts)]
    assert len(set(fresh)) == len(fresh)
    assert not known & set(fresh)


def test_a_tenth_are_exact_repeats_of_recent_pins(posts: list[bytes]) -> None:
    last_new: dict[bytes, int] = {}
    repeats = 0
    for pin in posts:
        if pin in last_new:
            repeats += 1
            assert len(last_new) - last_new[pin] <= RECENT
        else:
            last_new[pin] = len(last_new)
    assert repeats / len(posts) == pytest.approx(0.1, abs=0.01)


def test_a_small_share_has_no_image(posts: list[bytes]) -> None:
    images = [json.loads(pin)["image_src"] for pin in posts]
    share = sum(image in {None, "Image src error."} for image in images) / len(images)
    assert share == pytest.approx(330 / 11_154, abs=0.01)


def test_categories_and_posters_are_popular_by_zipf(posts: list[bytes]) -> None:
    rows = [json.loads(pin) for pin in posts]
    categories = Counter(row["category"] for row in rows)
    assert len(categories) == 13
    assert categories["christmas"] / categories["tattoos"] == pytest.approx(2, abs=0.3)
    assert categories["christmas"] / categories["art"] == pytest.approx(4, abs=0.6)
    posters = [times for _, times in Counter(row.get("poster_name") for row in rows).most_common()]
    assert posters[0] > 4 * posters[20] > 20 * posters[len(posters) // 2]


@given(rate=st.floats(min_value=0.01, max_value=100_000), taken=st.integers(min_value=1, max_value=2_000))
def test_a_schedule_that_is_kept_up_with_does_not_drift(rate: float, taken: int) -> None:
    schedule = Schedule(rate)
    dues = [schedule.take(place / rate) for place in range(taken)]
    assert dues[-1] == pytest.approx((taken - 1) / rate)


def test_small_delays_move_no_due_time() -> None:
    schedule = Schedule(100)
    dues = [schedule.take(place / 100 + 0.5) for place in range(1_000)]
    assert dues == pytest.approx([place / 100 for place in range(1_000)])


@pytest.mark.parametrize("stall", [3.0, 3_600.0])
def test_after_a_stall_at_most_a_burst_is_caught_up(stall: float) -> None:
    schedule = Schedule(100)
    schedule.take(0.0)
    late = 0
    while schedule.take(stall) <= stall:
        late += 1
    assert late == pytest.approx(100 * BURST_SECONDS, abs=1)


async def test_a_pace_holds_its_rate_for_its_duration() -> None:
    start = time.monotonic()
    pins = [pin async for pin in paced(repeat(b"pin"), 200, duration=0.5, stop=asyncio.Event())]
    assert len(pins) == 100
    assert 0.49 <= time.monotonic() - start < 0.9


async def test_a_pace_ends_at_once_when_it_is_stopped() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, stop.set)
    start = time.monotonic()
    pins = [pin async for pin in paced(repeat(b"pin"), 0.1, duration=None, stop=stop)]
    assert pins == [b"pin"]
    assert time.monotonic() - start < 1
