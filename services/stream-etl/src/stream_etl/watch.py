"""What Spark's reports and the log's ends say together: lag, watermark, state. No I/O."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from service_runtime.clock import Clock

from stream_etl.metrics import StreamMetrics
from stream_etl.resume import LogRange

Report = Mapping[str, Any]
"Spark's progress report of one batch, as its JSON has it."


class QueryWatch:
    """One query's distance from the log's end."""

    def __init__(self, query: str, clock: Clock, metrics: StreamMetrics) -> None:
        self._query = query
        self._clock = clock
        self._metrics = metrics
        self._written: dict[str, int] = {}
        self._fresh_until: float | None = None
        self._last_seen = ""
        self._started = clock.now()

    def resume(self, written: datetime) -> None:
        """Go on from what an earlier process has written: the lag does not begin anew with this one."""
        self._fresh_until = max(self._fresh_until or 0.0, written.timestamp())

    def observe(self, reports: Sequence[Report], log: Mapping[int, LogRange]) -> None:
        """Measure, given Spark's latest reports in order, seen before or not, and what the log holds."""
        for report in reports:
            if report["timestamp"] > self._last_seen:
                self._last_seen = report["timestamp"]
                self._note(report)
        waiting = sum(max(0, held.end - self._written.get(str(p), held.start)) for p, held in log.items())
        now = self._clock.now()
        if not waiting:
            self._fresh_until = now
        # What waits came after the newest record written, and after the last moment when nothing waited.
        age = now - (self._started if self._fresh_until is None else self._fresh_until)
        self._metrics.lag_records.labels(self._query).set(waiting)
        self._metrics.lag_seconds.labels(self._query).set(max(0.0, age))

    def _note(self, report: Report) -> None:
        if end := report["sources"][0]["endOffset"]:
            (self._written,) = end.values()
        times: Mapping[str, str] = report.get("eventTime", {})
        if "max" in times:
            self._fresh_until = max(self._fresh_until or 0.0, _seconds(times["max"]))
        if "watermark" in times:
            self._metrics.watermark.labels(self._query).set(_seconds(times["watermark"]))
        # An idle query reports too, without a batch.
        if "addBatch" in report["durationMs"]:
            self._count(report)

    def _count(self, report: Report) -> None:
        operators = report["stateOperators"]
        self._metrics.batch_seconds.labels(self._query).observe(
            report["durationMs"]["triggerExecution"] / 1000
        )
        self._metrics.dropped.labels(self._query).inc(sum(o["numRowsDroppedByWatermark"] for o in operators))
        self._metrics.state_rows.labels(self._query).set(sum(o["numRowsTotal"] for o in operators))
        self._metrics.state_bytes.labels(self._query).set(sum(o["memoryUsedBytes"] for o in operators))


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
