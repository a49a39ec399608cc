"""A sheet as Grafana reads it.

Source: grafana-foundation-sdk 0.0.21, schema version 42 of dashboards.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model

from helm.panels.sketch import Panel, Section, Sheet

WIDTH: Final = 24
HEIGHTS: Final = {"figure": 4}
"""Other kinds are HEIGHT high."""
HEIGHT: Final = 8
_SOURCE: Final = common_model.DataSourceRef(type_val="prometheus", uid="${datasource}")


def dashboard_json(sheet: Sheet) -> str:
    """The dashboard as a file; ends in a line feed."""
    made = (
        dashboard.Dashboard(sheet.title)
        .uid(sheet.uid)
        .description(sheet.about)
        .tags(["paceline"])
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(dashboard.DashboardLink("Paceline").type(model.DashboardLinkType.DASHBOARDS).tags(["paceline"]))
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus").label("Data source"))
    )
    if sheet.by_exchange:
        made.with_variable(_exchanges())
    top = 0
    for section in sheet.sections:
        made.with_row(dashboard.Row(section.title).grid_pos(model.GridPos(h=1, w=WIDTH, x=0, y=top)))
        for panel, place in _placed(section, top + 1):
            made.with_panel(_panel(panel, place))
            top = place.y + place.h
    return json.dumps(json.loads(JSONEncoder().encode(made.build())), indent=1, sort_keys=True) + "\n"


def _exchanges() -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable("exchange")
        .label("Exchange")
        .query("label_values(paceline_requests_total, exchange)")
        .datasource(_SOURCE)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".*")
        .multi(True)
    )


def _placed(section: Section, top: int) -> Iterator[tuple[Panel, model.GridPos]]:
    """From left to right, row by row; a row is as high as its highest."""
    left = height = 0
    for panel in section.panels:
        own = HEIGHTS.get(panel.kind, HEIGHT)
        if left + panel.width > WIDTH:
            left, top, height = 0, top + height, 0
        height = max(height, own)
        yield panel, model.GridPos(h=own, w=panel.width, x=left, y=top)
        left += panel.width


def _panel(panel: Panel, place: model.GridPos) -> Any:
    """The panel's builder: they have no type in common."""
    made: Any = _KINDS[panel.kind]()
    made.title(panel.title).unit(panel.unit).datasource(_SOURCE).grid_pos(place)
    if panel.about:
        made.description(panel.about)
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + number)).datasource(_SOURCE)
        if query.legend:
            target.legend_format(query.legend)
        if panel.kind == "heat":
            target.format(prometheus_format())
        made.with_target(target)
    if panel.red_above is not None or panel.red_below is not None:
        made.thresholds(_thresholds(panel))
    return made


def prometheus_format() -> Any:
    """That buckets come as a heat map's rows."""
    from grafana_foundation_sdk.models.prometheus import PromQueryFormat

    return PromQueryFormat.HEATMAP


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    bound = panel.red_above if panel.red_above is not None else panel.red_below
    low, high = ("green", "red") if panel.red_above is not None else ("red", "green")
    steps = [model.Threshold(color=low), model.Threshold(value=bound, color=high)]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _lines() -> timeseries.Panel:
    legend = common.VizLegendOptions().show_legend(True).display_mode(common_model.LegendDisplayMode.LIST)
    tooltip = common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI)
    return (
        timeseries.Panel()
        .legend(legend.placement(common_model.LegendPlacement.BOTTOM))
        .tooltip(tooltip)
        .min(0)
    )


def _stack() -> timeseries.Panel:
    stacking = common.StackingConfig().mode(common_model.StackingMode.NORMAL)
    return _lines().stacking(stacking).fill_opacity(25)


def _figure() -> stat.Panel:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().reduce_options(last).graph_mode(common_model.BigValueGraphMode.AREA)


_KINDS: Final = {
    "lines": _lines,
    "stack": _stack,
    "figure": _figure,
    "heat": heatmap.Panel,
    "bars": bargauge.Panel,
}
