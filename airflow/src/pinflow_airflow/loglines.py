"""A line of a container's log, as a line of a task's: services write JSON, a person reads sentences."""

import json
import logging

# Said by the task's own log, or by its place.
LEFT_OUT = {"message", "level", "timestamp", "logger", "service"}


def read(text: str) -> tuple[int, str]:
    """Return level and text; what is no such JSON is INFO, as it is."""
    try:
        told = json.loads(text)
        level = logging.getLevelNamesMapping()[told["level"].upper()]
        words = [told["message"], *(f"{name}={told[name]}" for name in told if name not in LEFT_OUT)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return logging.INFO, text
    return level, " ".join(words)
