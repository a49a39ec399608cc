"""A real Prebid.js auction against the running service: what a publisher's page makes of our answers."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.bidder.supervisor.serving import until
from tests.service.money import spent
from tests.service.service import Service, started

pytestmark = pytest.mark.process

FOLDER = Path(__file__).parent.parent / "prebid"
NODE_FROM = 20
PATIENCE_S = 240


@pytest.fixture(scope="module")
def node() -> str:
    """Node with the locked packages; skips where it is absent or old, or where they cannot be had."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if not found or not npm:
        pytest.skip("Node and npm are absent: no Prebid.js auction can be held")
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(re.match(r"v(\d+)", told)[1]) < NODE_FROM:  # type: ignore[index]  # it always says vN
        pytest.skip(f"Node {told} is older than {NODE_FROM}: no Prebid.js auction can be held")
    with (FOLDER / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run of the suite may be installing
        if not (FOLDER / "node_modules" / ".package-lock.json").exists():
            _install(npm)
    return found


def _install(npm: str) -> None:
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        command, cwd=FOLDER, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    if done.returncode:
        shutil.rmtree(FOLDER / "node_modules", ignore_errors=True)
        pytest.skip(f"Prebid.js cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")


def auction(node: str, service: Service, path: str = "/bid/prebid") -> dict[str, Any]:
    """One auction; what auction.mjs reports."""
    endpoint = f"http://127.0.0.1:{service.ports['exchange']}{path}"
    command = [node, "auction.mjs", endpoint]
    done = subprocess.run(
        command, cwd=FOLDER, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["asked"] == [endpoint]
    assert report["errors"] == []
    return report


def test_prebid_js_renders_our_bid_and_its_impression_is_paid(node: str, tmp_path: Path) -> None:
    """The page gets one valid winning bid and renders it; its beacon counts the impression and moves money."""
    with started(tmp_path / "data") as service:
        report = auction(node, service)
        assert [event["name"] for event in report["events"]].count("bidRejected") == 0, report["events"]
        assert report["bids"] == 1
        winner = report["winner"]
        assert winner["creativeId"] == "b300"
        assert (winner["width"], winner["height"], winner["currency"]) == (300, 250, "USD")
        assert winner["mediaType"] == "banner"
        assert winner["domains"] == ["shop.example"]
        assert {event["name"] for event in report["events"]} == {"bidWon", "adRenderSucceeded"}
        rendered = report["rendered"]
        assert "https://cdn.shop.example/b300.png" in rendered["sources"]
        public = f"http://127.0.0.1:{service.ports['public']}"
        assert [link.split("?")[0] for link in rendered["links"]] == [f"{public}/click"]
        assert [one["src"].split("?")[0] for one in rendered["loaded"]] == [f"{public}/win", f"{public}/imp"]
        assert [one["status"] for one in rendered["loaded"]] == [204, 200]
        seen = service.scrape()
        assert seen.by("paceline_notices_total", "kind", result="accepted") == {"win": 1, "imp": 1}
        assert seen.total("paceline_line_item_impressions_total", line_item="open-banner") == 1
        seen.conserved()
        paid = round(winner["cpm"] * 1_000)
        until(
            lambda: spent(service.ledger_url) == paid, "the charge, which is made behind the beacon's answer"
        )


def test_prebid_js_without_a_bid_gets_none_and_no_error(node: str, tmp_path: Path) -> None:
    """Where nothing matches, the page sees no bid: no error, no rejection, no time-out."""
    empty = tmp_path / "empty.yaml"
    empty.write_text("advertisers: []\n")
    with started(tmp_path / "data", campaigns=empty) as service:
        report = auction(node, service)
        assert report["bids"] == 0
        assert {event["name"] for event in report["events"]} <= {"noBid"}, report["events"]
        outcomes = service.scrape().by("paceline_outcomes_total", "outcome")
        assert outcomes == {"no_candidate": 1}
