"""The Locust file as its users run it: in a process of its own, since Locust replaces the standard sockets."""

import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from benchmarks.exchange.dialects import BY_NAME
from bidder.stores.embedded import free_port
from tests.benchmarks.test_simulation import Bidder, running
from tests.corpus import ROOT

SHOP = ROOT / "tests" / "benchmarks" / "data" / "shop.yaml"
pytestmark = pytest.mark.process


UNHURRIED = {"PACELINE_LOAD_MAX_LATE": "1"}
"""A busy machine may be late; what is late is tested by the judge's own tests."""
COMMAND = (sys.executable, "-m", "locust", "-f", "benchmarks/locustfile.py", "--headless")


async def start(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    """Locust with these arguments and PACELINE_LOAD_ variables."""
    return await asyncio.create_subprocess_exec(
        *(*COMMAND, *arguments),
        cwd=ROOT,
        env={
            **os.environ,
            **UNHURRIED,
            **{f"PACELINE_LOAD_{name}": value for name, value in environment.items()},
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # shells let background jobs ignore it
    )


async def locust(bidder: Bidder, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and output of a short run."""
    async with running(bidder) as port:
        told = {"SECONDS": "2", "USERS": "30", **environment}
        process = await start("--only-summary", "--host", f"http://127.0.0.1:{port}", *arguments, **told)
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_all_exchanges_send_and_good_answers_pass(tmp_path: Path) -> None:
    """Six dialects, a report, the percentiles that matter in console, CSV and HTML, exit code 0."""
    report, table = tmp_path / "load.html", tmp_path / "load"
    code, out = await locust(Bidder(), "--html", str(report), "--csv", str(table), PROFILE="diurnal")
    assert code == 0, out
    for name in ("generic", "prebid", "google", "xandr", "index", "magnite"):
        assert f"/bid/{name}" in out
    assert "50%    90%    99%  99.9%   100%" in out
    assert ",50%,90%,99%,99.9%,100%" in (tmp_path / "load_stats.csv").read_text()
    assert '"percentiles_to_chart": [0.5, 0.9, 0.99, 0.999]' in report.read_text()


async def test_answers_to_another_request_fail_the_run() -> None:
    """A bidder that answers nonsense with 200 is caught: counted as invalid, not as late, exit code 1."""
    code, out = await locust(Bidder(lambda request, exchange: web.json_response({"id": "other"})))
    assert code == 1
    assert "the answer is to another request" in out
    assert "CatchResponseError" not in out
    assert counted(out, "invalid") > 0
    assert counted(out, "failed") == 0


def counted(out: str, kind: str) -> int:
    """How many answers of a kind the run told of."""
    return int(re.findall(rf"(?m)^{kind} +([0-9,]+) ", out)[0].replace(",", ""))


async def test_a_mix_of_exchanges(tmp_path: Path) -> None:
    """Only the exchanges asked for send, one of them with a number of users of its own."""
    verdict = tmp_path / "verdict.json"
    told = {"PROFILE": "spike", "MIX": "google=3,index=1", "FIXED": "magnite=2", "VERDICT": str(verdict)}
    code, out = await locust(Bidder(), **told)
    assert code == 0, out
    assert {name for name in BY_NAME if f"/bid/{name}" in out} == {"google", "index", "magnite"}
    assert '"Magnite": 2' in out
    counts = {each["kind"]: each["count"] for each in orjson.loads(verdict.read_bytes())["verdicts"]}
    assert counts["invalid"] == counts["failed"] == 0


async def test_late_answers_fail_the_run() -> None:
    """Beyond the share that is allowed, exit code 1, counted as late and as nothing else."""
    until: list[float] = []

    def stall(request: dict[str, object], exchange: str) -> web.Response:
        if not until:  # once, for everybody: longer than any tmax
            until.append(time.monotonic() + 0.5)
        while time.monotonic() < until[0]:
            pass
        return web.Response(status=204)

    code, out = await locust(Bidder(stall), MAX_LATE="0", PROFILE="steady")
    assert code == 1
    assert counted(out, "late") > 0
    assert counted(out, "invalid") == 0


async def heard(master: asyncio.subprocess.Process) -> str:
    """What a master says until it has heard of requests."""
    assert master.stdout is not None
    said = ""
    while not re.search(r"Aggregated +[1-9]", said):
        line = await master.stdout.readline()
        assert line, said
        said += line.decode()
    return said


async def test_a_master_and_two_workers_are_one_run(tmp_path: Path) -> None:
    """Distributed: the master sums up what both workers saw, judges it once, and writes the report."""
    port, report, verdict = str(free_port()), tmp_path / "load.html", tmp_path / "verdict.json"
    wrong = Bidder(lambda request, exchange: web.json_response({"id": "other"}))
    async with running(wrong) as bidder:
        host = f"http://127.0.0.1:{bidder}"
        master = await start(
            *("--master", "--master-bind-port", port, "--expect-workers", "2"),
            *("--host", host, "--html", str(report)),
            SECONDS="200",
            VERDICT=str(verdict),
            MAX_LATE="0",
        )
        workers = [await start("--worker", "--master-port", port, "--host", host) for _ in range(2)]
        said = await heard(master)
        master.send_signal(signal.SIGINT)
        (out, _), *_ = await asyncio.gather(*(process.communicate() for process in (master, *workers)))
    said += out.decode()
    assert master.returncode == 1, said
    assert "2 workers connected" in said, said
    bad = sum(counted(said, kind) for kind in ("late", "invalid", "failed"))
    cut_off = orjson.loads(verdict.read_bytes())["requests"] - bad
    assert bad > 0
    assert 0 <= cut_off <= 30  # at most what its users were asking when the run ended
    assert report.exists()


async def test_make_load_brings_its_own_service(tmp_path: Path) -> None:
    """Without a host a service is started, loaded and stopped; a signal would do the same earlier."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.locust_run", "--seconds", "2"),
        *("--campaigns", str(SHOP), "--html", str(tmp_path / "load.html")),
        cwd=ROOT,
        env={**os.environ, **UNHURRIED, "TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    page = (tmp_path / "load.html").read_text()
    assert "Paceline under load: plateaus, 2 s" in page
    assert page.count('class="holds"') == 3
    assert not [name for name in os.listdir(tmp_path) if name.startswith("paceline-load-")]
