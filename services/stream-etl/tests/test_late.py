from datetime import UTC, datetime, timedelta

import pyarrow as pa
from stream_etl.late import late_pins

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def late(seen: float | None, *seconds: float) -> dict[float, float]:
    """Event times of the late pins and the starts of their windows, in seconds after noon."""
    times = pa.array([NOON + timedelta(seconds=s) for s in seconds], pa.timestamp("us", "UTC"))
    newest = None if seen is None else NOON + timedelta(seconds=seen)
    rows = late_pins(pa.table({"event_time": times}), newest).to_pylist()
    return {
        (row["event_time"] - NOON).total_seconds(): (row["window_start"] - NOON).total_seconds()
        for row in rows
    }


def test_a_window_is_closed_when_the_watermark_reaches_its_end() -> None:
    assert late(70, 0, 9.999, 10) == {0: 0, 9.999: 0}
    assert late(69.999, 0, 9.999, 10) == {}


def test_nothing_is_late_before_any_record_was_seen() -> None:
    assert late(None, 0, -1e6) == {}
