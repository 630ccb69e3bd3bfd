"""When to ask again: what the server says, or a backoff that doubles."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0


def backoff(attempt: int) -> float:
    """Return the seconds to wait after that many failures in a row: doubling, with jitter, at most 5."""
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 (spreads clients, keeps no secret)


def retry_after(header: str | None) -> float | None:
    """Return the seconds a Retry-After header asks for, as a number or a date; None if it says nothing."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    # A date without a zone is taken for UTC, as HTTP's dates are.
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
