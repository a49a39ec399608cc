"""kill -9 on real processes: at most the last flush is lost, and what was half done is done again."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidder.events import parquet, segments
from bidder.events.compaction import compact
from bidder.events.erased import digest
from bidder.events.erasure import anonymise, erase_digests, holds
from bidder.events.records import ShopEvent
from tests.bidder.events.samples import ANNA, BERT, NOW_S, click, impression, shop, write
from tests.bidder.events.test_compaction import rows

pytestmark = pytest.mark.process

RECORD = """
import sys, time
from pathlib import Path
from bidder.clock import SystemClock
from bidder.events.writer import Bounds, Recorder
from bidder.metrics import Tally
from tests.bidder.events.samples import shop
recorder = Recorder(Path(sys.argv[1]), 0, Tally(), SystemClock(), Bounds(flush_s=0.05, segment_bytes=20_000))
number = 0
while True:
    for _ in range(50):
        number += 1
        assert recorder.record(shop(number, at_s=time.time()))
    if recorder.flush():
        print(number, flush=True)
    for _ in range(7):
        number += 1
        recorder.record(shop(number, at_s=time.time()))
"""


def test_a_recorder_that_is_killed_loses_what_was_not_flushed_and_no_more(tmp_path: Path) -> None:
    """Everything that was flushed is read back, in order and without a gap, whatever the moment of the kill."""
    process = subprocess.Popen(
        [sys.executable, "-c", RECORD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for _ in range(20):
            flushed = int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
    flushed = max([flushed, *map(int, process.stdout.read().split())])
    process.stdout.close()
    assert [path.suffix for path in segments.readable(tmp_path)].count(segments.OPEN) <= 1
    found = [record.id for path in segments.readable(tmp_path) for record in segments.records(path)]
    assert found == [f"event-{number}" for number in range(1, len(found) + 1)]
    assert len(found) >= flushed
    segments.seal_orphans(tmp_path)
    assert not list((tmp_path / segments.FOLDER).glob(f"*{segments.OPEN}"))


STEPS = """
import os, signal, sys
from pathlib import Path
import duckdb
from bidder.events.compaction import compact
from bidder.events.erasure import anonymise, erase
from tests.bidder.events.samples import ANNA, NOW_S
WORK = {
    "compact": lambda folder: compact(folder, NOW_S),
    "erase": lambda folder: erase(folder, [ANNA], NOW_S + 1),
    "anonymise": lambda folder: anonymise(folder, NOW_S - 3_600),
}
TOUCHES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
steps = 0
def hook(event, args):
    global steps
    if event in TOUCHES and folder in str(args[0]):
        steps += 1
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
for line in sys.stdin:
    work, number, folder = line.rstrip("\\n").split(" ", 2)
    kill_at = int(number)
    if os.fork() == 0:
        sys.addaudithook(hook)
        WORK[work](Path(folder))
        os._exit(0)
    _, status = os.wait()
    assert status in (0, signal.SIGKILL), status
    print("killed" if status else "done", flush=True)
"""
"""Runs pieces of work in children, each killed when it touches the disk for the n-th time."""


class Killer:
    """A process that does a piece of work and kills it at a step."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", STEPS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def killed_at(self, folder: Path, work: str, step: int) -> bool:
        """Whether the work was killed; False: it has fewer steps, and was done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{work} {step} {folder}\n")
        self.process.stdin.flush()
        told = self.process.stdout.readline().strip()
        assert told in ("killed", "done")
        return told == "killed"


@pytest.fixture
def killer() -> Iterator[Killer]:
    """Ends with the test."""
    running = Killer()
    yield running
    running.process.communicate()
    assert running.process.returncode == 0


def everything(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all kinds."""
    return {kind: rows(folder, kind, "id, person") for kind in ("shop", "impression", "click")}


def start(folder: Path) -> None:
    """An hour that is published, segments that are not, one of them left by a writer that died."""
    write(folder, [shop(1), impression(1), shop(2, at_s=NOW_S - 7_200), click(1)])
    compact(folder, NOW_S)
    write(folder, [shop(2, at_s=NOW_S - 7_200), shop(3), shop(4, person=BERT), impression(1, spent=5)])
    left = write(folder, [shop(5, at_s=NOW_S - 7_200), click(2, person=BERT)])
    left.rename(left.with_suffix(segments.OPEN))


def test_compaction_killed_at_any_step_loses_and_doubles_nothing(tmp_path: Path, killer: Killer) -> None:
    """At each step every file is readable, and after the next run the tree is that of a run without a kill."""
    whole = tmp_path / "whole"
    start(whole)
    compact(whole, NOW_S)
    wanted = everything(whole)
    step = 0
    while True:
        step += 1
        folder = tmp_path / f"run-{step}"
        start(folder)
        killed = killer.killed_at(folder, "compact", step)
        before = {event for kind in ("shop", "impression", "click") for event in rows(folder, kind)}
        assert {("event-1",), ("event-2",)} <= before, f"step {step} lost what was published"
        compact(folder, NOW_S)
        assert everything(folder) == wanted, f"after a kill at step {step}"
        assert not segments.readable(folder)
        assert not list(folder.rglob("*.part"))
        assert not list((folder / parquet.SCRATCH).iterdir())
        shutil.rmtree(folder)
        if not killed:
            break
    assert step > 15


@pytest.mark.parametrize("work", ["erase", "anonymise"])
def test_what_rewrites_files_can_be_killed_at_any_step(tmp_path: Path, killer: Killer, work: str) -> None:
    """Nothing of the others is lost, and the next run finishes what was begun."""
    step, killed = 0, True
    while killed:
        step += 3  # every third: the work has some forty
        folder = tmp_path / f"run-{step}"
        start(folder)
        segments.seal_orphans(folder)
        killed = killer.killed_at(folder, work, step)
        if work == "erase":
            erase_digests(folder, {digest(ANNA): NOW_S + 1})
            assert not holds(folder, ANNA)
        else:
            anonymise(folder, NOW_S - 3_600)
        compact(folder, NOW_S)
        people = {person for found in everything(folder).values() for _, person in found}
        assert BERT in people
        kept = {record for (record,) in rows(folder, "shop", "at_ms")}
        assert int(NOW_S * 1_000) in kept
        assert not list(folder.rglob("*.part"))
        shutil.rmtree(folder)


def test_a_writer_that_is_paused_keeps_its_segment(tmp_path: Path) -> None:
    """A process that does not answer is not one that is gone: its segment is not sealed under its hands."""
    process = subprocess.Popen(
        [sys.executable, "-c", RECORD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        still = set((tmp_path / segments.FOLDER).glob(f"*{segments.OPEN}"))
        assert segments.seal_orphans(tmp_path) == 0
        assert set((tmp_path / segments.FOLDER).glob(f"*{segments.OPEN}")) == still
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    assert all(
        isinstance(record, ShopEvent)
        for path in segments.readable(tmp_path)
        for record in segments.records(path)
    )


FULL = """
import resource, sys
from pathlib import Path
from bidder.clock import SystemClock
from bidder.events.writer import Bounds, Recorder
from bidder.metrics import Tally
from tests.bidder.events.samples import shop
import time
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
recorder = Recorder(Path(sys.argv[1]), 0, Tally(), SystemClock(), Bounds(flush_s=3600))
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
for number in range(1, 100):
    recorder.record(shop(number, at_s=time.time()))
    if number % 10 == 0 and not recorder.flush():
        break
told = number
for number in range(told + 1, told + 10):
    recorder.record(shop(number, at_s=time.time()))
assert not recorder.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert recorder.flush()
recorder.close()
print(told, number)
"""


def test_a_disk_that_is_full_in_the_middle_of_a_write_leaves_no_half(tmp_path: Path) -> None:
    """What the disk took of a flush is taken back; when it has room again everything is there, once, in order."""
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    told, last = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert told < last
    found = [record.id for path in segments.readable(tmp_path) for record in segments.records(path)]
    assert found == [f"event-{number}" for number in range(1, last + 1)]
