"""Dashboards: made of code, true to the catalogue, in PromQL that Prometheus takes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bidder.supervisor.catalogue import catalogue
from helm.build import made, main, stale
from helm.catalogue import alerts_of, names_in, panels_of, recorded_rules
from helm.panels.grafana import WIDTH, dashboard_json
from helm.panels.sheets import SHEETS
from helm.panels.sketch import Panel, Query, Section, Sheet
from tests.operations.prometheus import run

ALWAYS = {"le", "instance", "job"}
"""Labels that no metric declares: a histogram's, and those that Prometheus adds."""


def queries() -> Iterator[tuple[str, str]]:
    """(where, expression) of every panel, with Grafana's own variables filled in."""
    for sheet in SHEETS:
        for panel in sheet.panels():
            for query in panel.queries:
                yield f"{sheet.title}: {panel.title}", filled(query.expr)


def filled(expr: str) -> str:
    """An expression as Grafana would send it."""
    return expr.replace("$__rate_interval", "10s").replace("$exchange", ".*")


def test_what_is_committed_is_what_the_code_makes(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m helm.build --check` finds nothing stale."""
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_a_stale_file_is_told(tmp_path: Path) -> None:
    """A file that differs, and one that is not there, are both found."""
    kept, lost = tmp_path / "kept.json", tmp_path / "lost.json"
    kept.write_text("old")
    assert stale({kept: "new", lost: "new"})[:2] == [kept, lost]
    kept.write_text("new")
    assert kept not in stale({kept: "new"})


def test_every_metric_has_a_panel() -> None:
    """No metric is exposed that no dashboard shows."""
    assert set(catalogue()) - set(panels_of(recorded_rules())) == set()


def test_no_panel_asks_for_what_is_not_there() -> None:
    """Every metric of every expression is in the catalogue."""
    recorded = recorded_rules()
    for where, expr in queries():
        unknown = names_in(expr, recorded) - set(catalogue())
        assert not unknown, f"{where}: {unknown}"


def test_every_label_that_a_panel_names_exists() -> None:
    """What a panel groups by, chooses by or writes in its legend is a label of one of its metrics."""
    known, recorded = catalogue(), recorded_rules()
    for sheet in SHEETS:
        for panel in sheet.panels():
            for query in panel.queries:
                metrics = names_in(query.expr, recorded)
                labels = ALWAYS.union(*(known[name].labels for name in metrics))
                grouped = re.findall(r"\bby \(([^)]*)\)", query.expr)
                chosen = re.findall(r"[{,](\w+)(?:=~|!=|=)\"", query.expr)
                told = re.findall(r"\{\{(\w+)\}\}", query.legend)
                named = {label.strip() for group in grouped for label in group.split(",")} | {*chosen, *told}
                assert named <= labels, f"{sheet.title}: {panel.title}: {named - labels}"


def test_a_legend_tells_series_apart() -> None:
    """The labels that a panel groups by stand in its legend: no two lines have one name."""
    for sheet in SHEETS:
        for panel in sheet.panels():
            legends = [query.legend for query in panel.queries]
            assert len(set(legends)) == len(legends), f"{sheet.title}: {panel.title}"
            assert panel.kind == "figure" or all(legends), f"{sheet.title}: {panel.title}"


def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    """promtool reads all of them, as the expressions of rules."""
    rules = [{"record": f"panel:{i}", "expr": expr} for i, (_, expr) in enumerate(queries())]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = run("promtool", "check", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_promtool_would_refuse_a_wrong_expression(tmp_path: Path) -> None:
    """The check above can fail."""
    path = tmp_path / "panels.yaml"
    path.write_text(
        yaml.safe_dump({"groups": [{"name": "x", "rules": [{"record": "a", "expr": "sum(rate(x))"}]}]})
    )
    assert run("promtool", "check", "rules", path).returncode != 0


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.uid)
def test_panels_lie_beside_each_other(sheet: Sheet) -> None:
    """Within the grid's width, without overlap, each with its data source; the file is named by its uid."""
    dashboard = json.loads(dashboard_json(sheet))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= WIDTH
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"]
    assert any(path.name == f"{dashboard['uid']}.json" for path in made())


def test_the_catalogue_follows_recording_rules() -> None:
    """A metric behind a recording rule is known to be asked for by whoever asks for the rule."""
    recorded = {"paceline:b": "sum(rate(paceline_requests_total[5m]))", "paceline:a": "paceline:b / 2"}
    assert names_in("paceline:a > 1", recorded) == {"paceline_requests_total"}
    assert "Overspent" in alerts_of(recorded_rules())["paceline_wallet_overspent_micros"]


def test_a_histogram_is_named_by_its_whole() -> None:
    """Buckets, sums and counts are parts of one metric; a counter that ends in one of these words is itself."""
    assert names_in("rate(paceline_bid_latency_seconds_bucket[5m])", {}) == {"paceline_bid_latency_seconds"}


def test_a_sheet_is_laid_out_in_rows() -> None:
    """A panel that finds no room begins a new row below the highest of the last."""
    panel = Panel(title="a", queries=(Query("up"),), width=12)
    small = Panel(title="b", queries=(Query("up"),), kind="figure", width=4)
    sheet = Sheet(uid="u", title="t", about="", sections=(Section("s", (small, panel, panel)),))
    places = [p["gridPos"] for p in json.loads(dashboard_json(sheet))["panels"]]
    assert [(p["x"], p["y"], p["w"]) for p in places] == [(0, 0, 24), (0, 1, 4), (4, 1, 12), (0, 9, 12)]
