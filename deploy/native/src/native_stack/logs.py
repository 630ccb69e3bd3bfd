"""Reads the ends of log files."""

from pathlib import Path

TAIL_LINES = 15
LONGEST_TAIL_BYTES = 64 * 1024


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - LONGEST_TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return "(no log yet)"
    return "\n".join(text.splitlines()[-lines:])


def last_line(log: Path) -> str:
    """Return the last line of a log that says something, or nothing."""
    if not log.exists():
        return ""
    return next((line for line in reversed(tail(log).splitlines()) if line.strip()), "")
