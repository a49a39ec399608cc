"""`paceline capacity`: what it prints, for people and for programs, and what it refuses."""

import json
import re

import pytest

from bidder.__main__ import main
from bidder.capacity import SHIPPED, Load, estimate
from bidder.commands.capacity import speed_here

USUAL = ["capacity", "--qps", "100000", "--people", "50e6", "--line-items", "10000"]


def told(capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """What the command prints for the usual load."""
    assert main([*USUAL, *more]) == 0
    return capsys.readouterr().out


def test_a_report_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Workers, pods, cores, memory, both stores, network, cost, limits and assumptions each have their line."""
    out = told(capsys)
    made = estimate(Load(qps=100_000, people=50_000_000, line_items=10_000), SHIPPED)
    assert out.startswith("100,000 requests/s, 50,000,000 people, 10,000 line items\n")
    for name, value in (
        ("workers", f"{made.workers:,}"),
        ("pods", f"{made.pods:,}"),
        ("cores", f"{made.ordered_cores:,}"),
        ("memory", f"{made.memory_gib:,.1f} GiB"),
        ("people", f"{made.people_primaries * 2:,} nodes"),
        ("ledger", f"{made.ledger_primaries * 2:,} nodes"),
        ("network", f"{made.ingress_gbit_s:,.2f} Gbit/s"),
        ("cost", f"{made.cost_per_billion:,.0f}"),
    ):
        assert re.search(rf"^{name} +{re.escape(value)}  ", out, re.MULTILINE), name
    assert "limit: " in out
    assert "guess: " not in out
    assert out.endswith("1 replica of each primary\n")
    assert "assumed: code takes 1.00 times as long" in out


def test_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """--json holds the load, the prices, the constants and the estimate."""
    made = json.loads(told(capsys, "--json", "--replicas", "2", "--core-hour", "0.1"))
    assert made["load"]["replicas"] == 2
    assert made["prices"]["core_hour"] == 0.1
    assert made["constants"]["yardstick_us"] == SHIPPED.yardstick_us
    assert made["estimate"]["workers"] > 1


def test_what_nobody_measured_is_called_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    """Beyond the line items of the constants; and what is largest is named, not what comes first."""
    out = told(capsys, "--line-items", "1000000")
    assert "\nguess: constants were measured with up to 20,000 line items" in out
    assert out.index("limit: ledger: ") < out.index("limit: people: ")
    assert "by leases of 1,000,000 line items" in out


def test_help_tells_the_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    """From where to where each number may be."""
    with pytest.raises(SystemExit):
        main(["capacity", "--help"])
    out = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "live line items; 1 to 1,000,000" in out
    assert "0.05 to 0.95; default: 0.6" in out


def test_a_slower_machine_takes_more_workers(capsys: pytest.CaptureFixture[str]) -> None:
    """--speed 2 is code that takes twice as long."""
    usual, slow = (json.loads(told(capsys, "--json", "--speed", speed)) for speed in ("1", "2"))
    assert slow["estimate"]["workers"] > usual["estimate"]["workers"]


def test_this_machine_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--here reads the yardstick, and the estimate is scaled by it."""
    monkeypatch.setattr("bidder.commands.capacity.HERE_S", 0.0)
    made = json.loads(told(capsys, "--json", "--here"))
    assert made["speed"] > 0
    assert speed_here(SHIPPED) > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--qps", "0"], "--qps: 0: must be >= 1"),
        (["--qps", "many"], "--qps: 'many' is no number"),
        (["--qps", "inf"], "--qps: 'inf' is no number"),
        (["--people", "1.5"], "--people: 1.5 is not a whole number"),
        (["--people", "-1"], "--people: -1: must be >= 0"),
        (["--line-items", "2000000"], "--line-items: 2000000: must be <= 1000000"),
        (["--known-share", "1.2"], "--known-share: 1.2: must be <= 1"),
        (["--utilisation", "1"], "--utilisation: 1: must be <= 0.95"),
        (["--speed", "0"], "--speed: '0': a number from 0.05 to 20"),
        (["--speed", "1", "--here"], "not allowed with argument --speed"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A value outside its bounds ends with exit code 2, naming the argument and the bound."""
    with pytest.raises(SystemExit) as end:
        main([*USUAL, *arguments])
    assert end.value.code == 2
    assert words in capsys.readouterr().err


def test_what_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Rate, people and line items have no default."""
    with pytest.raises(SystemExit):
        main(["capacity"])
    assert "--qps, --people, --line-items" in capsys.readouterr().err
