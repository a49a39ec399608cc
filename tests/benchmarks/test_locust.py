"""The Locust file as its users run it: in a process of its own, since Locust replaces the standard sockets."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from aiohttp import web

from tests.benchmarks.test_simulation import Bidder, running
from tests.corpus import ROOT

SHOP = ROOT / "tests" / "benchmarks" / "data" / "shop.yaml"
pytestmark = pytest.mark.process


async def locust(bidder: Bidder, folder: Path) -> tuple[int, str]:
    """The exit code and output of a short run."""
    async with running(bidder) as port:
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "locust",
                "-f",
                "benchmarks/locustfile.py",
                "--headless",
                "--only-summary",
            ),
            *("--host", f"http://127.0.0.1:{port}", "--html", str(folder / "load.html")),
            cwd=ROOT,
            env={**os.environ, "PACELINE_LOAD_SECONDS": "2", "PACELINE_LOAD_USERS": "30"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_all_exchanges_send_and_good_answers_pass(tmp_path: Path) -> None:
    """Six dialects, a report, exit code 0."""
    code, out = await locust(Bidder(), tmp_path)
    assert code == 0, out
    for name in ("generic", "prebid", "google", "xandr", "index", "magnite"):
        assert f"/bid/{name}" in out
    assert (tmp_path / "load.html").stat().st_size > 1_000


async def test_answers_to_another_request_fail_the_run(tmp_path: Path) -> None:
    """A bidder that answers nonsense with 200 is caught: exit code 1."""
    code, out = await locust(Bidder(lambda request, exchange: web.json_response({"id": "other"})), tmp_path)
    assert code == 1
    assert "the answer is to another request" in out


async def test_make_load_brings_its_own_service(tmp_path: Path) -> None:
    """Without a host a service is started, loaded and stopped; a signal would do the same earlier."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.locust_run", "--seconds", "2"),
        *("--campaigns", str(SHOP), "--html", str(tmp_path / "load.html")),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    assert (tmp_path / "load.html").exists()
    assert not [name for name in os.listdir(tmp_path) if name.startswith("paceline-load-")]
