"""A supervisor as a real process, with stand-in workers unless told otherwise."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import command

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0
T = TypeVar("T")

_STANDINS = """
import asyncio, os, sys
from pathlib import Path
from bidder import logs
from bidder.config import load
from bidder.supervisor.service import StartError, Supervisor
logs.configure("debug", "supervisor")
command = (sys.executable, "-m", "tests.bidder.supervisor.standin")
named = os.environ.get("PACELINE_CONFIG")
try:
    asyncio.run(Supervisor(load(Path(named) if named else None), os.environ, command, (), ()).run())
except StartError as error:
    sys.exit(f"paceline: {error}")
"""


def until(look: Callable[[], T], what: str) -> T:
    """Look until there is something to see."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


class Serving:
    """A running service; ports are free ones."""

    def __init__(
        self, data_dir: Path, *, standins: bool = True, config: str = "", **environment: str
    ) -> None:
        self.data_dir = data_dir
        self.log = data_dir.with_suffix(".log")
        settings = {
            "PACELINE_DATA_DIR": str(data_dir),
            "PACELINE_EXCHANGE_PORT": "0",
            "PACELINE_PUBLIC_PORT": "0",
            "PACELINE_OPS_PORT": "0",
            "PACELINE_EXCHANGE_HOST": "127.0.0.1",
            "PACELINE_PUBLIC_HOST": "127.0.0.1",
            "PACELINE_WORKERS": "2",
        }
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PACELINE_")}
        command = [sys.executable, *(["-c", _STANDINS] if standins else ["-m", "bidder", "serve"])]
        if config:
            settings["PACELINE_CONFIG"] = config
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=clean | settings | environment, stdout=log, stderr=log
            )

    @property
    def ports(self) -> dict[str, int]:
        """What run/ports.json says."""
        told: dict[str, int] = json.loads((self.data_dir / "run" / "ports.json").read_text())
        return told

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask the operators' port."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['ops']}{path}", timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        families = text_string_to_metric_families(self.get("/metrics")[1].decode())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def workers(self) -> list[int]:
        """Process ids of the workers that run."""
        return [
            child.pid
            for child in self.descendants()
            if "supervisor.standin" in (line := " ".join(command(child))) or "bidder worker" in line
        ]

    def running(self, name: str) -> list[psutil.Process]:
        """The processes whose command has this word; one that just ended has none."""
        return [child for child in self.descendants() if name in command(child)]

    def descendants(self) -> list[psutil.Process]:
        """Everything that this supervisor started and that still runs."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def server(self, folder: str) -> psutil.Process:
        """The embedded server whose data are in this folder of the data directory."""

        def find() -> psutil.Process | None:
            for child in self.descendants():
                with contextlib.suppress(psutil.Error):
                    if Path(child.cwd()) == (self.data_dir / folder).resolve():
                        return child
            return None

        found = until(find, f"the server of {folder}")
        assert found is not None
        return found

    def until_ready(self, workers: int = 2) -> "Serving":
        """Wait until so many workers are ready."""

        def all_up() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            try:
                return self.metric("paceline_worker_up") == workers
            except (OSError, ValueError):
                return False

        until(all_up, f"{workers} workers: {self.log.read_text()}")
        return self

    def wait(self) -> int:
        """The exit status, once it ended."""
        return self.process.wait(PATIENCE_S)
