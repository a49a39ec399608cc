"""The soak's verdicts on made-up runs, its table, and one short run of all of it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks import results_table
from benchmarks.restart import holds, split
from benchmarks.soak_report import Look, drift, findings, picture, record, thirds, top
from benchmarks.stand import Sample
from benchmarks.windows import Window
from tests.corpus import ROOT

PROVEN = (0, "shop: every balance is proven")
LOOKS = 60


def look(number: int, *, more_mb: float = 0.0, more_fds: int = 0, p99_ms: float = 5.0, late: int = 0) -> Look:
    """A look of a calm service of two processes and a store that grows."""
    at_s = 10.0 * (number + 1)
    window = Window(
        at_s, 1_000 + at_s, 500.0, 1.0, p99_ms, 9.0, 20.0, late, statuses={"200": 4_000, "204": 1_000}
    )
    sample = Sample(
        1_000 + at_s,
        {
            "worker-0": 100.0 + number % 2 + more_mb * number / LOOKS,
            "supervisor": 50.0,
            "store": 10.0 + number,
        },
        {"worker-0": 40 + number % 3 + more_fds * number // LOOKS, "supervisor": 20},
        {"worker-0": 900.0},
        1,
        bids=4_000 * number,
        requests=5_000 * number,
        charges=10 * number,
    )
    return Look(window, sample)


def broken(looks: list[Look], audit: tuple[int, str] = PROVEN, rejected: int = 0) -> list[str]:
    """Names of the verdicts that do not hold."""
    return [finding.name for finding in findings(looks, audit, (1_000, rejected)) if not finding.holds]


def test_a_calm_run_holds() -> None:
    """Memory that goes up and down is no drift; what a store holds is not judged."""
    assert broken([look(n) for n in range(LOOKS)]) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"more_mb": 10.0}, "memory of worker-0"),
        ({"more_fds": 200}, "descriptors, last third to first"),
        ({"late": 6}, "late"),
    ],
)
def test_what_grows_is_found(change: dict[str, Any], name: str) -> None:
    """A leak of 10 % of the memory, of 200 descriptors, and one late answer in 800."""
    assert broken([look(n, **change) for n in range(LOOKS)]) == [name]


def test_what_slows_down_is_found() -> None:
    """The tail of the last third is compared with the first's after the warm-up, not with the slow start."""
    slow = [look(n, p99_ms=30.0 if n < 10 else 5.0 + n / 4) for n in range(LOOKS)]
    assert broken(slow) == ["p99, last third to first"]
    assert broken([look(n, p99_ms=30.0 if n < 10 else 5.0) for n in range(LOOKS)]) == []


def test_books_and_exchanges_have_their_say() -> None:
    """An audit that fails, and answers that exchanges reject, fail the soak; and one that never bids is none."""
    looks = [look(n) for n in range(LOOKS)]
    assert broken(looks, (1, "shop: 3 micros are nowhere")) == ["audit"]
    assert broken(looks, rejected=2) == ["answers that exchanges reject"]
    assert broken([looks[0]] * LOOKS) == ["answers with a bid"]


def test_the_line_through_samples() -> None:
    """Drift is what the fitted line rises over its length, as a share of the mean."""
    assert drift([(x, 100.0 + x) for x in range(11)]) == pytest.approx(10 / 105)
    assert drift([(0, 5.0)]) == drift([]) == 0.0
    assert thirds([1, 2, 3, 4, 5, 6]) == (1.5, 5.5)


def test_restarts_are_told_from_quiet_times() -> None:
    """A window belongs to a restart that it touches; one failed connection breaks the promise."""
    windows = [Window(n / 2, n / 2, 100.0, statuses={"200": 50}, connects={"made": 1}) for n in range(1, 21)]
    windows[9].failed_connects = 1
    quiet, busy = split(windows, [(4.2, 5.1)])
    assert (quiet.requests, busy.requests) == (850, 150)
    assert (quiet.failed_connects, busy.failed_connects) == (0, 1)
    told = {
        "stretches": [{"late": 0, "failed": 1, "failed_connects": 0, "requests": 1_000}],
        "audit_clean": True,
    }
    told["exchanges"] = {"requests": 100, "invalid": 0, "errors": 0}
    assert holds(told)
    told["stretches"][0]["failed_connects"] = 1  # type: ignore[index]  # of a dict of several types
    assert not holds(told)


def test_pictures_have_round_ends() -> None:
    """Axes end at round numbers above every value; the picture has a line for each process."""
    drawn = picture(record([look(n) for n in range(LOOKS)]))
    assert drawn.count("<path") > 10
    assert all(name in drawn for name in ("worker-0", "supervisor", "store", "p99"))
    assert top([]) == 1.0


@pytest.mark.process
def test_a_soak_of_seconds(tmp_path: Path) -> None:
    """A service of its own is started, loaded, billed, sampled, audited and gone; the report and its table stand."""
    command = (
        *(sys.executable, "-m", "benchmarks.soak", "--minutes", "0.1", "--rate", "60", "--workers", "1"),
        *("--bodies", "300", "--people", "300", "--out", str(tmp_path)),
    )
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    report = orjson.loads((tmp_path / "soak.json").read_bytes())
    verdicts = {verdict["name"]: verdict["holds"] for verdict in report["verdicts"]}
    assert all(verdicts[name] for name in ("audit", "answers with a bid", "errors and failed connections")), (
        ran.stdout
    )
    assert {"memory of worker-0", "memory of supervisor", "memory of bookkeeper"} <= set(verdicts)
    assert report["exchanges"]["billed"] > 0
    assert len(report["windows"]["at_s"]) >= 6
    assert (tmp_path / "soak.svg").read_text().startswith("<svg")
    assert "answers with a bid" in results_table.text("load", tmp_path)
