from datetime import UTC, datetime, timedelta
from typing import Any

from pin_schema import reference
from pin_schema.clean import CleanPin
from pin_schema.reference_windows import Session, Window, sessions, windows
from pin_schema.testing import raw_record

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ID = "00000000-0000-0000-0000-0000000000ff"


def pin(offset: int, seconds: float, **fields: Any) -> CleanPin:
    cleaned = reference.clean(raw_record(offset, event_time=NOON + timedelta(seconds=seconds), **fields))
    assert isinstance(cleaned, CleanPin)
    return cleaned


def test_a_window_holds_its_start_and_not_its_end() -> None:
    found = windows([pin(0, 0), pin(1, 9.999), pin(2, 10)])
    assert {key: window.pins for key, window in found.items()} == {
        (NOON, None): 2,
        (NOON + timedelta(seconds=10), None): 1,
    }


def test_a_pin_counts_once_a_window_by_its_first_version() -> None:
    found = windows(
        [
            pin(1, 2, unique_id=ID, category="b"),
            pin(0, 1, unique_id=ID, category="a"),
            pin(5, 12, unique_id=ID),
        ]
    )
    assert {key: window.pins for key, window in found.items()} == {
        (NOON, "a"): 1,
        (NOON + timedelta(seconds=10), None): 1,
    }


def test_a_window_counts_posters_and_media_and_knows_the_greatest_following() -> None:
    kinds = ["image", "video", "multi-video(story page format)", "gif", None]
    pins = [pin(i, 1, is_image_or_video=kind, poster_name="a" if i else None) for i, kind in enumerate(kinds)]
    pins.append(pin(9, 1, follower_count="2k", poster_name="b"))
    assert windows(pins)[NOON, None] == Window(6, 2, 1, 2, 2000)


def test_a_session_goes_on_for_five_minutes_after_each_pin() -> None:
    minutes = [0, 5, 10.001, 20]
    pins = [pin(i, minute * 60, poster_name="a") for i, minute in enumerate(minutes)]
    found = sessions([*pins, pin(9, 0), pin(10, 1, poster_name="b")])
    gap = timedelta(minutes=5)
    starts = [NOON + timedelta(minutes=minute) for minute in minutes]
    assert found == [
        Session("a", starts[0], starts[1] + gap, 2),
        Session("a", starts[2], starts[2] + gap, 1),
        Session("a", starts[3], starts[3] + gap, 1),
        Session("b", NOON + timedelta(seconds=1), NOON + timedelta(seconds=301), 1),
    ]


def test_a_pin_posted_again_in_a_session_counts_once() -> None:
    (session,) = sessions([pin(i, i, poster_name="a", unique_id=ID) for i in range(3)])
    assert session.pins == 1
