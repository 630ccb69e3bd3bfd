"""Every question that the dashboards ask Prometheus, to be asked by a test."""

from collections.abc import Iterator
from typing import NamedTuple

from dashboards.airflow import AIRFLOW
from dashboards.batch import BATCH
from dashboards.ingest import INGEST
from dashboards.overview import OVERVIEW
from dashboards.servers import SERVERS
from dashboards.sink import SINK
from dashboards.stream import STREAM

DASHBOARDS = (OVERVIEW, INGEST, SINK, BATCH, STREAM, AIRFLOW, SERVERS)
RATE_INTERVAL = "1m"
"What Grafana puts in place of $__rate_interval at our scrape interval of 10 s, at least."


class PanelQuery(NamedTuple):
    """One query with the place where its answer is shown."""

    dashboard: str
    panel: str
    expr: str


def panel_queries() -> Iterator[PanelQuery]:
    """Yield every query of every panel, in the order of the pages, as Prometheus understands it."""
    for dashboard in DASHBOARDS:
        for row in dashboard.rows:
            for panel in row.panels:
                for query in panel.queries:
                    expr = query.expr.replace("$__rate_interval", RATE_INTERVAL)
                    yield PanelQuery(dashboard.uid, panel.title, expr)
