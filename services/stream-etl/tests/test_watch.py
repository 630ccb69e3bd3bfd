from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from service_runtime.testing.clock import FakeClock
from stream_etl.metrics import StreamMetrics
from stream_etl.resume import LogRange
from stream_etl.watch import QueryWatch

NOON = 1_767_268_800.0


class Watched:
    """A watch at noon, and what it shows."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOON)
        self._registry = CollectorRegistry()
        self.watch = QueryWatch("live", self.clock, StreamMetrics(self._registry))

    def shows(self, name: str) -> float | None:
        return self._registry.get_sample_value(f"pinflow_stream_{name}", {"query": "live"})


@pytest.fixture
def watched() -> Watched:
    return Watched()


def report(second: int, end: int, **times: str) -> dict[str, Any]:
    operator = {"numRowsTotal": 3, "memoryUsedBytes": 100, "numRowsDroppedByWatermark": 2}
    return {
        "timestamp": f"2026-01-01T12:00:{second:02}.000Z",
        "sources": [{"endOffset": {"pins": {"0": end}}}],
        "eventTime": times,
        "stateOperators": [operator | {"numRowsDroppedByWatermark": 0}, operator],
        "durationMs": {"addBatch": 100, "triggerExecution": 250},
    }


async def test_what_waits_is_younger_than_the_newest_written(watched: Watched) -> None:
    await watched.clock.advance(30)
    watched.watch.observe([report(1, 7, max="2026-01-01T12:00:10.000Z")], {0: LogRange(0, 9)})
    assert (watched.shows("lag_records"), watched.shows("lag_seconds")) == (2, 20)


async def test_a_record_after_a_silence_is_not_as_old_as_the_silence(watched: Watched) -> None:
    done = [report(1, 7, max="2026-01-01T12:00:00.000Z")]
    await watched.clock.advance(30)
    watched.watch.observe(done, {0: LogRange(0, 7)})
    assert watched.shows("lag_seconds") == 0
    await watched.clock.advance(1)
    watched.watch.observe(done, {0: LogRange(0, 8)})
    assert (watched.shows("lag_records"), watched.shows("lag_seconds")) == (1, 1)


async def test_before_the_first_batch_everything_the_log_holds_waits(watched: Watched) -> None:
    await watched.clock.advance(5)
    watched.watch.observe([], {0: LogRange(2, 9), 1: LogRange(0, 1)})
    assert (watched.shows("lag_records"), watched.shows("lag_seconds")) == (8, 5)


async def test_a_report_seen_twice_counts_once(watched: Watched) -> None:
    first, second = report(1, 5), report(2, 7, watermark="2026-01-01T11:59:00.000Z")
    watched.watch.observe([first], {0: LogRange(0, 7)})
    watched.watch.observe([first, second], {0: LogRange(0, 7)})
    assert watched.shows("rows_dropped_by_watermark_total") == 4
    assert watched.shows("batch_seconds_sum") == 0.5
    assert watched.shows("watermark_timestamp_seconds") == NOON - 60


async def test_an_idle_query_reports_no_batch(watched: Watched) -> None:
    idle = report(1, 5) | {"durationMs": {"triggerExecution": 1}, "stateOperators": []}
    del idle["eventTime"]
    watched.watch.observe([idle], {0: LogRange(0, 5)})
    assert watched.shows("batch_seconds_count") == 0
    assert watched.shows("lag_records") == 0


async def test_the_lag_does_not_begin_anew_with_a_process(watched: Watched) -> None:
    watched.watch.resume(datetime.fromtimestamp(NOON - 600, UTC))
    watched.watch.observe([], {0: LogRange(2, 9)})
    assert watched.shows("lag_seconds") == 600
