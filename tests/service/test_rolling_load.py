"""What exchanges notice of a rolling restart, by the tool that measures it."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from benchmarks import results_table
from tests.corpus import ROOT

pytestmark = pytest.mark.process


def test_no_connection_fails_while_workers_are_replaced(tmp_path: Path) -> None:
    """Open-loop load with connections opened all the time: none fails, every request is answered, the books add up."""
    command = (
        *(sys.executable, "-m", "benchmarks.restart", "--restarts", "1", "--rate", "60", "--pause", "1"),
        *("--bodies", "300", "--people", "300", "--connections", "16", "--out", str(tmp_path)),
    )
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert (tmp_path / "restart.json").exists(), ran.stderr
    report = orjson.loads((tmp_path / "restart.json").read_bytes())
    quiet, restarting = report["stretches"]
    assert len(report["restarts_s"]) == 1
    assert quiet["requests"] > 0
    assert restarting["requests"] > 0
    assert quiet["failed_connects"] == restarting["failed_connects"] == 0, ran.stdout
    assert quiet["failed"] == restarting["failed"] == 0, ran.stdout
    assert report["exchanges"]["invalid"] == 0, ran.stdout
    assert report["audit_clean"], ran.stdout
    assert "1 rolling restarts of 2 workers" in results_table.text("load", tmp_path)
