"""Counters in a shared file: they survive restarts and kills, are read by others, and say when they are full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder import metrics
from bidder.metrics import OVERFLOW, Cell, Metric, Tally, TallyReader

REQUESTS = "paceline_requests_total"


def test_a_restart_goes_on_where_the_last_one_stood(tmp_path: Path) -> None:
    """The same file gives the same cells with their values, and new names behind them."""
    path = tmp_path / "tally"
    first = Tally(path)
    first.count(REQUESTS, "a", by=5)
    place = first.slot(REQUESTS, "a")
    second = Tally(path)
    assert second.slot(REQUESTS, "a") == place
    second.count(REQUESTS, "a")
    second.count(REQUESTS, "b", by=2)
    assert dict(second.samples()) == {
        Cell(OVERFLOW): 0,
        Cell(REQUESTS, ("a",)): 6,
        Cell(REQUESTS, ("b",)): 2,
    }


def test_a_reader_sees_counts_and_new_names(tmp_path: Path) -> None:
    """A second map of the file follows the first, names included."""
    tally = Tally(tmp_path / "tally")
    reader = TallyReader(tmp_path / "tally")
    tally.count(REQUESTS, "a")
    assert dict(reader.samples())[Cell(REQUESTS, ("a",))] == 1
    tally.count(REQUESTS, "b", by=7)
    tally.set("paceline_up", value=1)
    assert dict(reader.samples()) == dict(tally.samples())
    assert len(list(reader.samples())) == 4


@pytest.mark.process
def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    """kill -9 directly after counting: another process reads every count, and a successor goes on."""
    path = tmp_path / "tally"
    code = (
        "import sys; from pathlib import Path; from bidder.metrics import Tally\n"
        "tally = Tally(Path(sys.argv[1])); slot = tally.slot('paceline_requests_total', 'a')\n"
        "for _ in range(1000): tally.cells[slot] += 1\n"
        "print('done', flush=True); sys.stdin.read()"
    )
    root = str(Path(__file__).resolve().parents[2])
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        assert child.stdout.readline() == b"done\n"
        live = dict(TallyReader(path).samples())
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert live[Cell(REQUESTS, ("a",))] == 1_000
    assert dict(TallyReader(path).samples())[Cell(REQUESTS, ("a",))] == 1_000
    successor = Tally(path)
    successor.count(REQUESTS, "a")
    assert dict(successor.samples())[Cell(REQUESTS, ("a",))] == 1_001


def test_beyond_the_cells_there_is_one_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Series above the limit share a cell that tells of them; known series keep theirs."""
    monkeypatch.setattr(metrics, "MAX_CELLS", 4)
    tally = Tally()
    for label in "abcdef":
        tally.count(REQUESTS, label)
    held = dict(tally.samples())
    assert held == {Cell(OVERFLOW): 3, **{Cell(REQUESTS, (label,)): 1 for label in "abc"}}


def test_beyond_the_names_there_is_one_overflow() -> None:
    """Names that do not fit into their region are counted as overflow, and no other cell is touched."""
    tally = Tally()
    long = "x" * 1_000_000
    places = [tally.slot(REQUESTS, long, str(i)) for i in range(10)]
    assert len(set(places)) == 9
    assert places[8] == places[9] == tally.slot(OVERFLOW)
    assert all(value == 0 for _, value in tally.samples())


def test_what_is_no_tally_is_refused(tmp_path: Path) -> None:
    """A missing file is an OSError; one of another kind or size a ValueError."""
    with pytest.raises(OSError, match="No such file"):
        TallyReader(tmp_path / "none")
    (tmp_path / "short").write_bytes(b"hello")
    with pytest.raises(ValueError, match="mmap length"):
        TallyReader(tmp_path / "short")
    (tmp_path / "zeros").write_bytes(bytes(Path(_file(tmp_path)).stat().st_size))
    with pytest.raises(ValueError, match="not a tally"):
        TallyReader(tmp_path / "zeros")


def _file(folder: Path) -> Path:
    Tally(folder / "real")
    return folder / "real"


def test_only_its_owner_reads_a_tally(tmp_path: Path) -> None:
    """The file is private."""
    assert _file(tmp_path).stat().st_mode & 0o077 == 0


BUCKETS = Metric("paceline_seconds", "histogram", "h", buckets=(10, 20, 40))


@given(values=st.lists(st.integers(0, 100), max_size=30))
def test_a_histogram_counts_each_value_once(values: list[int]) -> None:
    """A value stands in the first bucket whose bound it does not exceed; the sum is theirs."""
    tally = Tally()
    histogram = tally.histogram(BUCKETS, "a")
    for value in values:
        histogram.observe(value)
    held = {cell.part: value for cell, value in tally.samples() if cell.labels == ("a",)}
    bounds = [-1, 10, 20, 40, 10**9]
    for i in range(4):
        assert held[str(i)] == sum(bounds[i] < value <= bounds[i + 1] for value in values)
    assert held["sum"] == sum(values)


@given(value=st.integers(0, 100), times=st.integers(0, 50))
def test_a_value_many_times(value: int, times: int) -> None:
    """Counted at once, it is what counting each would have been."""
    tally = Tally()
    once, each = tally.histogram(BUCKETS, "once"), tally.histogram(BUCKETS, "each")
    once.observe_many(value, times)
    for _ in range(times):
        each.observe(value)
    held = list(tally.samples())
    parts = [{cell.part: n for cell, n in held if cell.labels == (name,)} for name in ("once", "each")]
    assert parts[0] == parts[1]


def test_the_labels_of_a_metric() -> None:
    """In the order of their first use; parts of histograms are none."""
    tally = Tally()
    tally.count(REQUESTS, "b")
    tally.count(REQUESTS, "a", by=3)
    tally.histogram(BUCKETS, "c")
    assert tally.labels(REQUESTS) == [("b",), ("a",)]
    assert tally.labels(BUCKETS.name) == []


def test_threads_name_cells_without_harm() -> None:
    """Two threads that make series at once get each its own, and a reader sees all of them."""
    tally = Tally()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: tally.slot(REQUESTS, str(number % 500)), range(4_000)))
    assert sorted(cell.labels[0] for cell in tally.names()[1:]) == sorted(map(str, range(500)))
    assert len({tally.slot(REQUESTS, str(number)) for number in range(500)}) == 500


@given(labels=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=3))
def test_any_label_is_kept(labels: list[str]) -> None:
    """Line ends, quotation marks and all scripts come back as they went in."""
    tally = Tally()
    tally.count(REQUESTS, *labels, by=3)
    assert dict(tally.samples())[Cell(REQUESTS, tuple(labels))] == 3


def test_a_tally_has_its_place_on_the_disk(tmp_path: Path) -> None:
    """No hole is mapped: a count that falls into one when the disk is full would end the process without a word."""
    path = tmp_path / "tally"
    Tally(path)
    assert path.stat().st_blocks * 512 >= path.stat().st_size
