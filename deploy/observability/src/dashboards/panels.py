"""What a dashboard is: rows of panels, each with its queries, its unit, and what good looks like."""

from collections.abc import Mapping
from dataclasses import dataclass, field

PER_SECOND = "suffix: /s"
SECONDS = "s"
BYTES = "bytes"
COUNT = "short"
SHARE = "percentunit"
STATE = "state"
"A unit of ours: 1 is shown as up, 0 as down."


@dataclass(frozen=True)
class Query:
    """PromQL, and how its series are named; `{{label}}` is filled in by Grafana."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One picture. `good` says what it shows and what good looks like."""

    title: str
    good: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "lines"
    red_from: float | None = None
    words: Mapping[int, str] = field(default_factory=dict)
    "Names of values, where a number is a code."


@dataclass(frozen=True)
class Row:
    """Panels side by side under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """One page; `uid` is its address and its file name."""

    uid: str
    title: str
    about: str
    rows: tuple[Row, ...]


def lines(title: str, good: str, unit: str, *queries: Query, red_from: float | None = None) -> Panel:
    """Return a picture over time."""
    return Panel(title, good, unit, queries, red_from=red_from)


def number(
    title: str,
    good: str,
    unit: str,
    expr: str,
    *,
    red_from: float | None = None,
    words: Mapping[int, str] | None = None,
) -> Panel:
    """Return the newest value alone."""
    return Panel(title, good, unit, (Query(expr, title),), "number", red_from, words or {})


def numbers(title: str, good: str, unit: str, query: Query, *, red_from: float | None = None) -> Panel:
    """Return the newest values, one a label."""
    return Panel(title, good, unit, (query,), "numbers", red_from)


def rate(counter: str, *by: str) -> str:
    """Return the increase a second, summed; `counter` may have matchers."""
    return f"{_sum(by)}(rate({counter}[$__rate_interval]))"


def last_hour(counter: str, by: str) -> str:
    """Return what an hour brought by a label that comes into being with its first event."""
    return or_none(f"{_sum((by,))}(increase({counter}[1h]))", by)


def or_none(expr: str, label: str) -> str:
    """Return PromQL that gives 0 under the name `none` where there is nothing to tell."""
    return f'{expr} or on () label_replace(vector(0), "{label}", "none", "", "")'


def last_hour_total(counter: str) -> str:
    """Return what an hour brought, 0 where nothing was ever counted."""
    return f"sum(increase({counter}[1h])) or vector(0)"


def quantile(share: float, histogram: str, *by: str) -> str:
    """Return the value below which a share of the observations lies."""
    labels = ", ".join((*by, "le"))
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket[$__rate_interval])))"


def process(job: str) -> Row:
    """Return what a process of ours takes from the machine."""
    matcher = f'{{job="{job}"}}'
    return Row(
        "The process",
        (
            lines(
                "Memory",
                "Resident memory. Good: flat, whatever the backlog (P6).",
                BYTES,
                Query(f"process_resident_memory_bytes{matcher}", "{{instance}}"),
            ),
            lines(
                "CPU",
                "Cores in use. Good: below one a process; Python has no more.",
                COUNT,
                Query(f"rate(process_cpu_seconds_total{matcher}[$__rate_interval])", "{{instance}}"),
            ),
        ),
    )


def _sum(by: tuple[str, ...]) -> str:
    return f"sum by ({', '.join(by)}) " if by else "sum"
