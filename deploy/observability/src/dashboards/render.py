"""Turns a dashboard into Grafana's own JSON."""

import json
import warnings
from itertools import count

from dashboards.panels import STATE, Dashboard, Panel, Row

with warnings.catch_warnings():
    # Its word for the next schema; files of the present one are read by every Grafana since 8.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    DataSourceRef,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

DATASOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
WIDTH = 24
SMALL, LARGE = 4, 8
REFRESH = "10s"
AnyPanel = stat.Panel | timeseries.Panel


def render(page: Dashboard) -> str:
    """Return the file that Grafana's provisioning reads."""
    built = dashboard.Dashboard(page.title).uid(page.uid).description(page.about).tags(["pinflow"])
    built.readonly().time("now-1h", "now").refresh(REFRESH).tooltip(DashboardCursorSync.CROSSHAIR)
    built.link(
        dashboard.DashboardLink("Pinflow")
        .type(DashboardLinkType.DASHBOARDS)
        .tags(["pinflow"])
        .keep_time(True)
    )
    # Without numbers of their own Grafana takes all rows for one.
    numbers = count(1)
    for row in page.rows:
        built.with_row(dashboard.Row(row.title).id(next(numbers)))
        for panel in _panels(row):
            built.with_panel(panel.id(next(numbers)))
    content = json.dumps(built.build(), cls=JSONEncoder, indent=2, sort_keys=True)
    return f"{content}\n"


def _panels(row: Row) -> list[AnyPanel]:
    small = [panel for panel in row.panels if panel.kind != "lines"]
    large = [panel for panel in row.panels if panel.kind == "lines"]
    return [*_side_by_side(small, SMALL), *_side_by_side(large, LARGE)]


def _side_by_side(panels: list[Panel], height: int) -> list[AnyPanel]:
    """Share the width out: numbers all in one line, pictures two by two."""
    if height == SMALL:
        # The last one takes what is left over, so that the next line begins at the left.
        width = WIDTH // max(1, len(panels))
        widths = [width] * (len(panels) - 1) + [WIDTH - width * (len(panels) - 1)]
    else:
        lone = [WIDTH] if len(panels) % 2 else []
        widths = [WIDTH // 2] * (len(panels) - len(lone)) + lone
    return [_panel(panel).span(w).height(height) for panel, w in zip(panels, widths, strict=False)]


def _panel(panel: Panel) -> AnyPanel:
    built = _lines(panel) if panel.kind == "lines" else _numbers(panel)
    built.title(panel.title).description(panel.good).datasource(DATASOURCE)
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).datasource(DATASOURCE)
        target = target.ref_id(chr(ord("A") + number))
        # A number is about now: of a range the last one stands, however long ago.
        built.with_target(target.range() if panel.kind == "lines" else target.instant())
    return built


def _lines(panel: Panel) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    built = timeseries.Panel().unit(panel.unit).min(0).show_points(VisibilityMode.NEVER)
    built.legend(legend.show_legend(True)).thresholds(_thresholds("transparent", panel.red_from))
    if panel.red_from is not None:
        built.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.LINE))
    return built


def _numbers(panel: Panel) -> stat.Panel:
    newest = common.ReduceDataOptions().calcs(["lastNotNull"])
    built = stat.Panel().reduce_options(newest).graph_mode(BigValueGraphMode.NONE)
    if panel.kind == "numbers":
        built.text_mode(BigValueTextMode.VALUE_AND_NAME)
    if panel.unit == STATE:
        words = {"0": ValueMappingResult("down", "red"), "1": ValueMappingResult("up", "green")}
        return built.mappings([ValueMap(words)]).color_mode(BigValueColorMode.BACKGROUND)
    if panel.words:
        built.mappings([ValueMap({str(n): ValueMappingResult(word) for n, word in panel.words.items()})])
    return built.unit(panel.unit).thresholds(_thresholds("text", panel.red_from))


def _thresholds(color: str, red_from: float | None) -> dashboard.ThresholdsConfig:
    steps = [Threshold(None, color)] + ([] if red_from is None else [Threshold(red_from, "red")])
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
