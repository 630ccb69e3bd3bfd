"""Which pins came too late for their window: the rule by which Spark drops them, once more, in SQL.

Spark filters late rows of batch N by the watermark that batch N-1 ran with, and a batch's watermark is the
greatest event time of all batches before it, less the delay. So what counts is what batches up to N-2 held.
"""

from stream_etl.windows import WATERMARK_DELAY, WINDOW, interval

BATCHES_BEHIND = 2
WINDOW_START = f"date_bin(interval '{interval(WINDOW)}', event_time, 'epoch')"
"The start of the window that a pin belongs to."
# A window is closed as soon as the watermark reaches its end. No batch that far behind: none is.
IS_LATE = (
    f"{WINDOW_START} <= (SELECT max_event_time FROM stream_batches "  # noqa: S608 - numbers of our own
    f"WHERE query_id = $1::uuid AND batch_id = $2::bigint - {BATCHES_BEHIND}) "
    f"- interval '{interval(WATERMARK_DELAY + WINDOW)}'"
)
"Of a staged pin, in the batch ($1, $2)."
