"""The bench's arithmetic and its handling of subjects; the measurements themselves are no test's business."""

import json
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks import bench_table
from benchmarks.bench import LOADS, MIN_BIDS, QUICK, Finding, Plan, refusing, run
from benchmarks.exchange.requests import prepare
from benchmarks.judge import fault
from benchmarks.subjects import Absent, Recipe, Subject, peers, whole_bids

CALL = prepare(1, 1, 1_795_000_000)[0]
ID = CALL.request["id"]


def finding(name: str, cpu_us: float, rate: float, line_items: int = 0) -> Finding:
    """A subject with three rounds around a cost; the second round was a busy one."""
    rounds = [cpu_us, cpu_us * 3, cpu_us * 1.1]
    shares = {share: {"p50": 0.1, "p99": 1.0, "p999": 2.0} for share in ("50%", "80%")}
    costs = dict.fromkeys(LOADS, rounds)
    return Finding(name, line_items, costs, {load: [rate] for load in LOADS}, 0, 50.0, shares)


FINDINGS = [
    finding("(a) our port, a constant", 15, 50_000),
    finding("(b) aiohttp, a constant", 60, 15_000),
    finding("(c) Go net/http, a constant", 55, 17_000),
    finding("a whole bid, 1,000 line items", 40, 22_000, 1_000),
    finding("a whole bid, 10,000 line items", 45, 20_000, 10_000),
    finding("a whole bid, 100,000 line items", 90, 10_000, 100_000),
]


def test_ratios_are_taken_within_a_round() -> None:
    """A busy round raises both costs and leaves the ratio; the median of the rounds is told."""
    assert FINDINGS[4].cost("64") == pytest.approx(49.5)
    assert FINDINGS[4].ratio(FINDINGS[0], "64") == pytest.approx(3.0)


def test_targets_are_judged() -> None:
    """Cost to (a), throughput to (c), growth from 1,000 to 100,000 line items: each holds or does not."""
    judged = {target["name"]: (target["value"], target["holds"]) for target in bench_table.targets(FINDINGS)}
    assert list(judged.values()) == [(3.0, True), (1.18, True), (2.25, False)]
    assert bench_table.targets(FINDINGS[:3]) == []


def test_no_bids_are_not_measured_as_bids() -> None:
    """A subject that refuses most requests is named: the bench fails, whatever its cost."""
    good, bad = finding("good", 40, 1_000), finding("bad", 4, 9_000)
    good.bid_share, bad.bid_share = MIN_BIDS, MIN_BIDS - 0.01
    assert refusing([good, bad]) == ["bad"]


def test_the_report_is_json_and_its_table_names_everything() -> None:
    """Facts of the machine, every subject, every target and every note."""
    report = bench_table.report(FINDINGS, ["something was absent"], QUICK)
    report = json.loads(json.dumps(report))
    text = bench_table.text(report)
    for shown in (*(f.name for f in FINDINGS), "MISSED", "holds", "something was absent", "cores", "3.00x"):
        assert shown in text
    assert report["subjects"][1]["connections"]["64"]["ratio_to_a"] == 4.0


def test_a_subject_is_started_read_and_stopped() -> None:
    """CPU time and memory are those of the process that it names; afterwards it is gone."""
    code = "import os, json, time; sum(range(5_000_000)); "
    code += 'print(json.dumps({"port": 7, "pid": os.getpid()}), flush=True); time.sleep(600)'
    subject = Subject(Recipe("sleeper", (sys.executable, "-c", code)), 0)
    try:
        process = psutil.Process(subject.pid)
        assert process.cpu_affinity() == [0]
        assert subject.port == 7
        assert subject.cpu_us() > 0
        assert 1 < subject.rss_mb() < 200
    finally:
        subject.stop()
    assert not process.is_running()


@pytest.mark.parametrize(
    "code",
    [
        "raise SystemExit('no such thing')",
        "print('nonsense'); raise SystemExit('no such thing')",
        "print('{}')",
    ],
)
def test_a_subject_that_does_not_start_is_a_note(code: str) -> None:
    """The bench goes on without it, and says why."""
    with pytest.raises(Absent, match="broken did not start"):
        Subject(Recipe("broken", (sys.executable, "-c", code)), None)


def test_go_is_optional(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Go the other yardsticks remain, and the note says so."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    recipes, notes = peers(tmp_path)
    assert [recipe.name[:3] for recipe in recipes] == ["(a)", "(b)"]
    assert notes == ["(c) Go net/http: Go is not installed"]


@pytest.mark.process
def test_the_bench_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A tiny run over our own port: it is measured without errors, its costs and latencies are numbers."""
    monkeypatch.setattr("benchmarks.bench.peers", lambda folder: (peers_without_go(folder), []))
    monkeypatch.setattr("benchmarks.bench.whole_bids", lambda counts: [])
    monkeypatch.setattr("benchmarks.bench.pin", lambda pid, core: None)
    findings, notes = run(Plan((), 1, 0.3, 0.3, 0.1), tmp_path)
    assert notes == [] or "one core" in notes[0]
    (lean,) = findings
    assert lean.errors == 0
    assert lean.cost("64") > 0
    assert lean.latency_ms["80%"]["p99"] > 0


def peers_without_go(folder: Path) -> list[Recipe]:
    """The first yardstick alone."""
    return peers(folder)[0][:1]


def test_recipes_of_whole_bids() -> None:
    """One worker per size of the book."""
    assert [recipe.argv[-2:] for recipe in whole_bids((100, 10_000))] == [
        ("--line-items", "100"),
        ("--line-items", "10000"),
    ]


@pytest.mark.parametrize(
    ("status", "body", "elapsed_ms", "why"),
    [
        (204, b"", 1, None),
        (200, b'{"id":"%s","seatbid":[]}' % ID.encode(), 1, None),
        (204, b"x", 1, "204 with a body"),
        (200, b'{"id":"other"}', 1, "another request"),
        (200, b"{", 1, "no bid response"),
        (200, b"{}", 1, "no bid response"),
        (500, b"", 1, "status 500"),
        (204, b"", CALL.tmax_ms + 1, "late"),
    ],
)
def test_a_load_test_judges_answers(status: int, body: bytes, elapsed_ms: float, why: str | None) -> None:
    """Only a bid response to the request, or an empty 204, in time, is good."""
    found = fault(CALL, status, body, elapsed_ms)
    assert (found is None) if why is None else (found is not None and why in found)
