"""What `make bench` measures: processes that answer bid requests, each started, pinned to a core and read from /proc.

Place: bench.py starts all of them before the first measurement.
Shapes: a subject prints one JSON line, {"port": ..., "pid": ...}, when it takes requests.
Units: CPU in microseconds, memory in megabytes.
Limits: START_S to become ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

START_S: Final = 180.0  # 100,000 line items are generated and compiled first
STOP_S: Final = 10.0
_GO: Final = Path(__file__).parent / "peers" / "go"
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Absent(Exception):
    """A subject that cannot be measured here; `str()` says why."""


class Recipe(Struct, frozen=True):
    """How to start a subject."""

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str] = {}
    line_items: int = 0


class Subject:
    """A running subject."""

    def __init__(self, recipe: Recipe, core: int | None) -> None:
        """Start it; raises Absent where it does not become ready."""
        self.recipe = recipe
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by stop
        self._process = subprocess.Popen(
            recipe.argv, stdout=subprocess.PIPE, stderr=self._errors, env={**os.environ, **recipe.environment},
            start_new_session=True,
        )  # fmt: skip
        try:
            said = self._first_line()
            self.port, self.pid = int(said["port"]), int(said["pid"])
            if core is not None:
                pin(self.pid, core)
        except (KeyError, ValueError, OSError) as error:
            self._errors.seek(0)
            words = self._errors.read().decode(errors="replace").strip().splitlines()
            self.stop()
            raise Absent(f"{recipe.name} did not start: {words[-1] if words else error}") from None

    def _first_line(self) -> Mapping[str, int]:
        assert self._process.stdout is not None
        guard = threading.Timer(START_S, self._process.kill)
        guard.start()
        try:
            said: Mapping[str, int] = json.loads(self._process.stdout.readline() or "{}")
            return said
        finally:
            guard.cancel()

    def cpu_us(self) -> float:
        """CPU time that the process has used, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1e6 / _TICKS

    def rss_mb(self) -> float:
        """Resident memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE / 1e6

    def stop(self) -> None:
        """End it and all that it started."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()


def pin(pid: int, core: int) -> None:
    """Keep every thread of a process on one core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # a thread that has ended since
            os.sched_setaffinity(int(task.name), {core})


def peers(folder: Path) -> tuple[list[Recipe], list[str]]:
    """The yardsticks that can be had here, and why others cannot; `folder` takes the built Go server."""
    recipes = [
        Recipe("(a) our port, a constant", _module("benchmarks.peers.lean")),
        Recipe("(b) aiohttp, a constant", _module("benchmarks.peers.aiohttp_decode")),
    ]
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is None:
        return recipes, ["(c) Go net/http: Go is not installed"]
    binary = folder / "peer"
    built = subprocess.run([go, "build", "-o", str(binary), "."], cwd=_GO, capture_output=True, text=True)
    if built.returncode:
        return recipes, [f"(c) Go net/http: {built.stderr.strip()}"]
    recipes.append(Recipe("(c) Go net/http, a constant", (str(binary),), {"GOMAXPROCS": "1"}))
    return recipes, []


def whole_bids(counts: Sequence[int]) -> list[Recipe]:
    """A worker of ours with each number of line items."""
    return [
        Recipe(f"a whole bid, {n:,} line items", _module("benchmarks.subject", "--line-items", str(n)), {}, n)
        for n in counts
    ]


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)
