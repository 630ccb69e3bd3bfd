"""Small changes of the template. A path is keys between slashes; of a list, a place or `key=value`."""

from collections.abc import Callable
from typing import Any

from template.body import Body

Change = Callable[[Body], None]


def _step(node: Any, segment: str) -> Any:
    if not isinstance(node, list):
        return node[segment]
    key, equals, value = segment.partition("=")
    return next(item for item in node if item.get(key) == value) if equals else node[int(segment)]


def _parent(body: Body, path: str) -> tuple[Any, str]:
    *segments, last = path.split("/")
    node: Any = body
    for segment in segments:
        node = _step(node, segment)
    return node, last


def put(path: str, value: Any) -> Change:
    """Set what a path leads to; a last segment `-` appends to a list."""

    def change(body: Body) -> None:
        node, last = _parent(body, path)
        if last == "-":
            node.append(value)
        else:
            node[int(last) if isinstance(node, list) else last] = value

    return change


def drop(path: str) -> Change:
    """Take away what a path leads to."""

    def change(body: Body) -> None:
        node, last = _parent(body, path)
        if isinstance(node, list):
            node.remove(_step(node, last))
        else:
            del node[last]

    return change


def replace(path: str, old: str, new: str) -> Change:
    """Put another text in place of a part of a string."""

    def change(body: Body) -> None:
        node, last = _parent(body, path)
        put(path, _step(node, last).replace(old, new))(body)

    return change


def add(name: str, kind: str, **properties: Any) -> Change:
    """Add a resource."""
    return put(f"Resources/{name}", {"Type": kind, "Properties": properties})


def all_of(*changes: Change) -> Change:
    """Make several changes."""

    def change(body: Body) -> None:
        for one in changes:
            one(body)

    return change
