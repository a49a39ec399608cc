"""`paceline demo` as a person runs it: the real service, a short run, its report, its end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.demo.stage import DEMANDS
from tests.corpus import ROOT
from tests.processes import command

pytestmark = pytest.mark.process
SHOP = ROOT / "tests" / "benchmarks" / "data" / "shop.yaml"


def demo(seconds: float, folder: Path, campaigns: Path | None = SHOP) -> "subprocess.Popen[str]":
    """A demo without a terminal, on free ports, with the test's shop; None: the demo's own."""
    argv = [
        *(sys.executable, "-m", "bidder", "demo", "--headless", "--rate", "100", "--people", "500"),
        *("--seconds", str(seconds), "--report", str(folder / "report.json")),
        *(("--campaigns", str(campaigns)) if campaigns else ()),
    ]
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def family(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Everything that a demo started."""
    return psutil.Process(process.pid).children(recursive=True)


def test_a_short_demo_is_sound(tmp_path: Path) -> None:
    """Bids, wins, impressions and latencies are in the report, no errors, and the books agree."""
    with demo(3, tmp_path) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    report = json.loads((tmp_path / "report.json").read_text())
    assert min(report[name] for name in ("requests", "bids", "wins", "impressions")) > 0
    assert report["errors"] == report["faults"] == 0
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p99"]
    assert [check for check in report["conservation"] if not check["holds"]] == []
    assert sum(row["spent_micros"] for row in report["campaigns"]) > 0
    assert "bid requests from six simulated exchanges" in out


def test_the_demos_own_shops_keep_to_their_plans(tmp_path: Path) -> None:
    """Every campaign has a plan, a course and spends within its budget; caps hold; the ledger is proven to the micro,
    and nothing is bid after the flights."""
    with demo(6, tmp_path, None) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    report = json.loads((tmp_path / "report.json").read_text())
    assert {row["id"] for row in report["campaigns"]} == DEMANDS.keys()
    people = report["people"]
    assert people["visits"] > people["visits_kept"] > people["visitors"] > 0
    assert people["erased"] > 0
    assert (people["found_again"], people["strangers"]) == ([], 0)
    assert people["product_ads"]["looked_at"] > 0
    assert people["filtered"] > 0
    for row in report["campaigns"]:
        assert 0 <= row["ledger_spent_micros"] <= row["planned_micros"] == row["budget_micros"]
        series = row["series"]
        assert len(series["at_s"]) == len(series["planned"]) == len(series["spent"]) >= 4
        assert series["spent"] == sorted(series["spent"])
        assert series["planned"][-1] == 1
    assert sum(row["ledger_spent_micros"] for row in report["campaigns"]) > 0
    assert report["overspend_micros"] == 0
    assert report["cap_violations"] == {}
    assert report["capped_views"] > 0
    names = {check["check"] for check in report["conservation"]}
    assert {
        "Fernhill Outdoor: ledger = bills",
        "findings in the ledger's audit = 0",
        "cap violations = 0",
    } <= names
    assert "planned, spent" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    """Interrupted while requests flow: a summary all the same, no process and no folder left."""
    with demo(600, tmp_path) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "req/s" in line)
        started = family(process)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number, out + err
    assert len(started) >= 3
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive
    assert json.loads((tmp_path / "report.json").read_text())["interrupted"]
    assert not list(tmp_path.glob("paceline-demo-*"))


def test_a_service_that_dies_ends_the_demo(tmp_path: Path) -> None:
    """The supervisor is killed: a clear error, exit code 1, nobody left."""
    with demo(600, tmp_path) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "req/s" in line)
        started = family(process)
        (service,) = [child for child in psutil.Process(process.pid).children() if "serve" in command(child)]
        service.kill()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out + err
    assert "the service ended with code -9" in err
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not alive
