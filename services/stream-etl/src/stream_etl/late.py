"""Which pins came too late for their window: the rule by which Spark drops them, once more. Pure.

Spark filters late rows of batch N by the watermark that batch N-1 ran with, and a batch's watermark is the
greatest event time of all batches before it, less the delay. So what counts is what batches up to N-2 held.
"""

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from stream_etl.windows import WATERMARK_DELAY, WINDOW

BATCHES_BEHIND = 2


def late_pins(pins: pa.Table, seen: datetime | None) -> pa.Table:
    """The pins whose window was closed, with its `window_start`.

    `seen` is the greatest event time in the batches up to the last but one; None when they held no record.
    """
    starts = pc.floor_temporal(pins["event_time"], multiple=WINDOW // timedelta(seconds=1), unit="second")
    placed = pins.append_column("window_start", starts)
    if seen is None:
        return placed.slice(0, 0)
    # A window is closed as soon as the watermark reaches its end.
    newest_closed = pa.scalar(seen - WATERMARK_DELAY - WINDOW, starts.type)
    return placed.filter(pc.less_equal(starts, newest_closed))
