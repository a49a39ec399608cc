"""Lists that are read when they change, and the report of a worker."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bidder.clock import ManualClock
from bidder.fraud.reasons import Reason
from bidder.fraud.report import read_reports
from bidder.fraud.score import Screen
from bidder.fraud.watch import Watch, read_networks
from bidder.metrics import Tally
from bidder.screening import FraudRules
from tests.bidder.fraud.support import NOW_S, SECRET, judged

CLOUD = {"ip": "203.0.113.9"}


class House:
    """A screen with its watch, its folders and a clock."""

    def __init__(self, folder: Path) -> None:
        self.list = folder / "clouds.txt"
        self.run, self.sellers = folder / "run", folder / "sellers"
        self.run.mkdir()
        self.tally = Tally()
        rules = FraudRules(datacenter_networks=(str(self.list),), report_every_s=0.01)
        self.screen = Screen(rules, self.tally, NOW_S, SECRET)
        self.watch = Watch(self.screen, rules, (self.run, self.sellers, 3), ManualClock(NOW_S))

    def write(self, text: str, stamp_s: int) -> None:
        self.list.write_text(text)
        os.utime(self.list, (stamp_s, stamp_s))

    def value(self, name: str, label: str) -> int:
        return next(
            value for cell, value in self.tally.samples() if (cell.name, cell.labels) == (name, (label,))
        )


async def test_networks_are_read_again(tmp_path: Path) -> None:
    """A list that changes is in force at the next look, and is not read again until it changes."""
    house = House(tmp_path)
    house.write("203.0.113.0/24\nnonsense\n", 1)
    await house.watch.look()
    assert judged(house.screen, device=CLOUD) == Reason.DATACENTRE
    assert house.value("paceline_fraud_list_entries", "networks") == 1
    assert house.value("paceline_fraud_list_problems", "networks") == 1
    before = house.screen.networks
    await house.watch.look()
    assert house.screen.networks is before
    house.write("198.18.0.0/15\n", 2)
    await house.watch.look()
    assert judged(house.screen, device=CLOUD) == 0


async def test_the_last_good_list_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A list that is gone leaves the one that was read in force, and says so."""
    house = House(tmp_path)
    house.write("203.0.113.0/24\n", 1)
    await house.watch.look()
    house.list.unlink()
    await house.watch.look()
    assert judged(house.screen, device=CLOUD) == Reason.DATACENTRE
    assert "clouds.txt: No such file" in caplog.text
    assert house.value("paceline_fraud_list_problems", "networks") == 1


async def test_sellers_are_read(tmp_path: Path) -> None:
    """Cached seller files are in force at the next look."""
    house = House(tmp_path)
    await house.watch.look()
    house.sellers.mkdir()
    (house.sellers / "news.example.ads.txt").write_text("owner.example, 1, DIRECT")
    await house.watch.look()
    chain = {"complete": 1, "nodes": [{"asi": "stranger.example", "sid": "1"}]}
    assert judged(house.screen, source={"schain": chain}) == Reason.SELLER
    assert house.value("paceline_fraud_list_entries", "sellers") == 1


async def test_reports(tmp_path: Path) -> None:
    """Each look writes down what the worker saw."""
    house = House(tmp_path)
    judged(house.screen, device={"ua": "curl/8.0"})
    await house.watch.look()
    (report,) = read_reports(house.run)
    assert (report.slot, report.sources[0].requests, report.sources[0].filtered) == (3, 1, 1)


async def test_a_full_disk_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A report that cannot be written is a warning."""
    house = House(tmp_path)
    house.run.rmdir()
    await house.watch.look()
    assert "report of sources is not written" in caplog.text


class Looked(Watch):
    """Tells when it has looked three times."""

    looks = 0
    enough: asyncio.Event

    async def look(self) -> None:
        await super().look()
        self.looks += 1
        if self.looks == 3:
            self.enough.set()


async def test_runs_until_cancelled(tmp_path: Path) -> None:
    """The task looks again and again."""
    house = House(tmp_path)
    rules = FraudRules(report_every_s=0.001)
    watch = Looked(house.screen, rules, (house.run, house.sellers, 3), ManualClock(NOW_S))
    watch.enough = asyncio.Event()
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(20):
        await watch.enough.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(read_reports(house.run)) == 1


def test_problems_beyond_those_named_are_counted(tmp_path: Path) -> None:
    """However many lines are bad, a few are named and the rest is a number."""
    path = tmp_path / "bad.txt"
    path.write_text("nonsense\n" * 500)
    networks, problems = read_networks([path])
    assert networks is not None
    assert len(problems) == 21
    assert problems[-1] == "bad.txt: 480 more lines are no networks"
