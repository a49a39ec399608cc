"""The rule files: what promtool says of them, what they ask for, and that each alert is explained."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest

from bidder.__main__ import _parser
from bidder.metrics import Metric
from bidder.supervisor.catalogue import catalogue
from tests.operations.prometheus import run
from tests.operations.rules import (
    FILES,
    ROOT,
    RUNBOOKS,
    Rule,
    alerts,
    labels_of,
    load,
    metrics_of,
    milliseconds,
    rules,
    scaled,
)

DATA = Path(__file__).parent / "data"
UNITS = sorted(DATA.glob("*.yaml"))
CASES = [case for path in UNITS for case in load(path)["tests"]]
ALERTS = alerts()
ALL = [rule for path in FILES for rule in rules(load(path))]
EVERYWHERE = {"instance", "job", "le"}
"""Labels that Prometheus, or a histogram, adds."""
SERVICE = {"up"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_promtool_takes_the_rules(path: Path) -> None:
    """`promtool check rules` finds nothing, not even to warn of."""
    done = run("promtool", "check", "rules", "--lint=all", "--lint-fatal", path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_alerts_at_their_edges(path: Path) -> None:
    """`promtool test rules`: series by hand, below and above each threshold, before and after each time."""
    done = run("promtool", "test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_each_alert_is_shown_to_fire_and_not_to_fire(alert: Rule) -> None:
    """There is a unit test that expects it, and one that expects that it is not there."""
    fires = quiet = False
    for case in CASES:
        for look in case.get("promql_expr_test", ()):
            if asks_for(look["expr"], alert.name):
                names = [sample.get("labels", "") for sample in look["exp_samples"]]
                fires |= any("alertname" not in text or f'"{alert.name}"' in text for text in names)
                quiet |= not look["exp_samples"]
        for look in case.get("alert_rule_test", ()):
            if look["alertname"] == alert.name:
                fires, quiet = fires or bool(look["exp_alerts"]), quiet or not look["exp_alerts"]
    assert (fires, quiet) == (True, True)


def asks_for(expr: str, name: str) -> bool:
    """Whether a unit test looks at an alert."""
    wanted = re.search(r'alertname(=~?)"([^"]+)"', expr)
    return wanted is not None and re.fullmatch(wanted[2], name) is not None


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.name)
def test_rules_ask_for_what_there_is(rule: Rule) -> None:
    """Every metric is in the catalogue, every label that it is selected by is one of its own, every recorded series
    is recorded."""
    known = catalogue()
    labels = set(EVERYWHERE)
    for name, selected in metrics_of(rule.expr):
        metric = known.get(re.sub(r"_(bucket|sum|count)\Z", "", name)) or known.get(name)
        assert metric is not None, f"{name} is in no catalogue"
        assert name == metric.name or metric.kind == "histogram"
        assert selected <= {*metric.labels, *EVERYWHERE}, name
        assert is_used_as(metric, name, rule.expr)
        labels |= set(metric.labels)
    recorded = {record.name: record for record in ALL if record.kind == "record"}
    for name in re.findall(r"\bpaceline:[\w:]+", rule.expr):
        assert name in recorded
        labels |= labels_of(recorded[name].expr)
    assert labels_of(rule.expr) <= labels


def is_used_as(metric: Metric, name: str, expr: str) -> bool:
    """A counter, or a bucket, is asked how it grew; a gauge where it stands."""
    grows = re.search(rf"\b(?:rate|increase)\({name}\b", expr) is not None
    if metric.kind == "gauge":
        return not grows
    bare = re.sub(rf"{name} unless {name} offset", "", expr)
    return grows and len(re.findall(rf"\b{name}\b", bare)) == len(
        re.findall(rf"\b(?:rate|increase)\({name}\b", expr)
    )


def test_no_name_is_used_twice() -> None:
    """Two alerts, or two records, of one name would be taken for one."""
    names = [rule.name for rule in ALL]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_each_alert_says_what_to_do(alert: Rule) -> None:
    """A severity, whose it is, two sentences, and its own section among the runbooks."""
    raw = alert.raw
    assert raw["labels"]["severity"] in ("page", "ticket")
    assert raw["labels"]["service"] == "paceline"
    assert set(raw["annotations"]) == {"summary", "description", "runbook_url"}
    assert raw["annotations"]["description"].endswith(".")
    assert raw["annotations"]["runbook_url"] == f"RUNBOOKS.md#{alert.name.lower()}"
    assert len(re.sub(r"\{\{.*?\}\}", "some", raw["annotations"]["summary"])) <= 90


def sections() -> dict[str, str]:
    """The runbooks' sections by name."""
    parts = re.split(r"^## ", RUNBOOKS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {name: text for name, _, text in (part.partition("\n") for part in parts)}


def test_runbooks_and_alerts_are_the_same() -> None:
    """One section for each alert, in their order, and none without one."""
    assert list(sections()) == [*dict.fromkeys(sections())]
    assert set(sections()) == {alert.name for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_each_runbook_has_its_four_parts(alert: Rule) -> None:
    """What it means, with its severity; what is felt; where to look; what to do. Alerts that it names exist."""
    text = sections()[alert.name]
    parts = re.findall(r"^- \*\*(\w+)\*\* ", text, re.MULTILINE)
    assert parts == ["Means", "Felt", "Look", "Do"]
    assert f"**Means** ({alert.raw['labels']['severity']})" in text
    names = {other.name for other in ALERTS}
    camel = set(re.findall(r"(?<![\w`/.-])[A-Z][a-z]+(?:[A-Z][a-z]+)+(?![\w`])", text)) - KUBERNETES
    assert camel <= names


KUBERNETES = {"ConfigMap", "NetworkPolicy"}


def test_commands_in_runbooks_exist() -> None:
    """Each `paceline …` is a command, with options that it has."""
    parser = _parser([])
    said = set(re.findall(r"`(paceline [a-z][^`]*)`", RUNBOOKS.read_text(encoding="utf-8")))
    for line in sorted(said):
        words = [EXAMPLES.get(word, word) for word in line.split()[1:]]
        if words[1:] in ([], ["pause"], ["apply"], ["check"]):
            words.append("--help")  # named without what it needs
        with contextlib.suppress(SystemExit) if words[-1] == "--help" else contextlib.nullcontext():
            parser.parse_args(words)
        assert words[0] in parser.format_help().split(), line


EXAMPLES = {"AMOUNT": "5", "ADVERTISER/line/ID": "shop/line/x", "ADVERTISER": "shop", "ID": "0" * 32}


def test_panels_in_runbooks_exist() -> None:
    """*Dashboard: panel* names a dashboard and its panels."""
    boards: dict[str, set[str]] = {}
    for path in (ROOT / "helm" / "paceline" / "dashboards").glob("*.json"):
        board = json.loads(path.read_text(encoding="utf-8"))
        boards[board["title"].removeprefix("Paceline / ")] = {panel["title"] for panel in board["panels"]}
    every = set().union(*boards.values())
    for name, section in sections().items():
        for said in re.findall(r"\*([A-Z][^*]+)\*(?!\*)", re.sub(r"\*\*\w+\*\*", "", section)):
            board, colon, panel = said.partition(": ")
            if colon:
                assert panel in boards[board], (name, said)
            else:
                assert said in every, (name, said)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_times_make_sense(alert: Rule) -> None:
    """A page waits five minutes at most (ten for silence, which has to be told from a lull), a ticket an hour; ranges
    hold at least two scrapes of a minute."""
    waits_ms = milliseconds(alert.raw.get("for", "0s"))
    quiet = alert.name in ("NoRequests", "NoBids")
    most = 600_000 if quiet else 300_000 if alert.raw["labels"]["severity"] == "page" else 3_600_000
    assert waits_ms <= most
    for window in re.findall(r"\[(\w+)\]", alert.expr):
        assert milliseconds(window) >= 300_000


@pytest.mark.parametrize("slo", ["deadline", "pacing"])
def test_burn_rates_are_the_workbooks(slo: str) -> None:
    """14.4 over 5m and 1h, 6 over 30m and 6h, 3 over 2h and 1d, 1 over 6h and 3d; the first two page."""
    found = {}
    for alert in ALERTS:
        parts = re.findall(rf"paceline:{slo}_errors:ratio_rate(\w+) > (?:([\d.]+) \* )?0.01", alert.expr)
        if parts:
            windows, factors = [part[0] for part in parts], {float(part[1] or 1) for part in parts}
            assert len(factors) == 1
            found[factors.pop()] = (*windows, alert.raw["labels"]["severity"])
    assert found == {
        14.4: ("5m", "1h", "page"),
        6.0: ("30m", "6h", "page"),
        3.0: ("2h", "1d", "ticket"),
        1.0: ("6h", "3d", "ticket"),
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scaled_rules_differ_in_their_times_alone(path: Path) -> None:
    """Divided and multiplied by the same they are what they were; promtool takes them; what is left when all times
    are struck out is the same."""
    whole = load(path)
    short = scaled(whole, 60)
    assert short != whole
    assert scaled(short, 1 / 60) == whole
    assert timeless(short) == timeless(whole)


def timeless(content: object) -> str:
    """A rule file without its times."""
    text = json.dumps(content)
    text = re.sub(r"\[\w+\]|offset \w+|\"for\": \"\w+\"", "T", text)
    return re.sub(r"(_age_seconds(?:\{[^}]*\})? > )[\d.]+", r"\1T", text)


def test_what_is_scaled() -> None:
    """Ranges, offsets, `for` and bounds of ages; no share, no count, no name."""
    expr = "x:rate5m > 3 * sum(rate(y[1h] offset 1d)) and z_age_seconds > 7200 and w > 60"
    content = {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": expr, "for": "90s"}]}]}
    (rule,) = rules(scaled(content, 60))
    assert rule.expr == "x:rate5m > 3 * sum(rate(y[1m] offset 24m)) and z_age_seconds > 120 and w > 60"
    assert rule.raw["for"] == "1500ms"
