"""How deep JSON text nests, found without recursion: what passes here, every recursive reader can read.

A reader's own limit depends on how deep its caller's stack is: one would take what another dies of.
"""

import json
import re

MAX_DEPTH = 64
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


class TooDeepError(ValueError):
    """JSON text with more levels than are allowed; `field` is the key of the root object it lies under."""

    def __init__(self, field: str | None, levels: int) -> None:
        super().__init__(f"nested more than {levels} levels deep")
        self.field = field


def check_depth(text: bytes, levels: int = MAX_DEPTH) -> None:
    """Raise TooDeepError where arrays and objects nest deeper than `levels`, well-formed or not."""
    # Most text has not even that many brackets; counting them is 100 times faster than looking at each.
    if text.count(b"[") + text.count(b"{") <= levels:
        return
    depth, key = 0, b""
    for found in _TOKEN.finditer(text):
        token = found.group()
        if token[0] == ord('"'):
            key = token if depth == 1 else key
        elif token in b"[{":
            depth += 1
            if depth > levels:
                raise TooDeepError(_field(text, key), levels)
        else:
            depth -= 1


def _field(text: bytes, key: bytes) -> str | None:
    if not text.lstrip().startswith(b"{"):
        return None
    try:
        return str(json.loads(key))
    except ValueError:
        return None
