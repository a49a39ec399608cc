"""ads.txt fetched into the cached folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bidder.catalogue.fetch import FetchError
from bidder.fraud.refresh import KEEP_S, Refreshed, get, refresh, refresh_from
from bidder.fraud.report import Report, write_report
from bidder.fraud.sources import Source
from bidder.fraud.supply import read_folder
from bidder.screening import FraudRules

NOW_S = 1_795_608_000.0
RULES = FraudRules(fetch_every_s=3_600.0, fetch_domains=10)
GOOD = b"owner.example, 1, DIRECT\n"


class Web:
    """What lies where, and who asked."""

    def __init__(self, **pages: bytes) -> None:
        self.pages = {f"https://{name}": data for name, data in pages.items()}
        self.asked: list[str] = []

    async def get(self, address: str, into: Path) -> None:
        self.asked.append(address)
        if address not in self.pages:
            raise FetchError("404")
        _put(into, self.pages[address])


def _put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


async def test_fetched_and_fresh(tmp_path: Path) -> None:
    """A file is fetched where its kind lies, and not again before its time."""
    web = Web(**{"news.example/ads.txt": GOOD, "maker.example/app-ads.txt": GOOD})
    wanted = [("site", "news.example"), ("app", "maker.example")]
    folder = tmp_path / "sellers"
    assert await refresh(folder, wanted, RULES, NOW_S, web.get) == Refreshed(2, 0, 0)
    assert await refresh(folder, wanted, RULES, NOW_S + 3_000, web.get) == Refreshed(0, 0, 2)
    assert await refresh(folder, wanted, RULES, NOW_S + 3_601, web.get) == Refreshed(2, 0, 0)
    assert read_folder(folder, {}).ads == 2
    assert sorted(path.name for path in folder.iterdir()) == [
        "maker.example.app-ads.txt",
        "news.example.ads.txt",
    ]


async def test_failures_wait_and_the_last_good_one_stays(tmp_path: Path) -> None:
    """What cannot be had is not asked for at once again; what was known of it stays for a week."""
    web = Web(**{"news.example/ads.txt": GOOD})
    wanted = [("site", "news.example")]
    await refresh(tmp_path, wanted, RULES, NOW_S, web.get)
    web.pages.clear()
    assert (await refresh(tmp_path, wanted, RULES, NOW_S + 4_000, web.get)).failed == 1
    assert (await refresh(tmp_path, wanted, RULES, NOW_S + 4_001, web.get)).fresh == 1
    assert read_folder(tmp_path, {}).ads == 1
    assert (await refresh(tmp_path, wanted, RULES, NOW_S + KEEP_S + 1, web.get)).failed == 1
    assert read_folder(tmp_path, {}).ads == 0


@pytest.mark.parametrize("page", [b"<html>not found</html>", b"binary\0", b"x" * 2_000_000])
async def test_what_is_no_such_file(tmp_path: Path, page: bytes) -> None:
    """A web page in its place is no file, and leaves nothing behind that is read."""
    web = Web(**{"news.example/ads.txt": page})
    assert (await refresh(tmp_path, [("site", "news.example")], RULES, NOW_S, web.get)).failed == 1
    assert read_folder(tmp_path, {}).ads == 0


async def test_the_host_above(tmp_path: Path) -> None:
    """A host without a file is spoken for by the one above it, never by a top-level domain."""
    web = Web(**{"news.example/ads.txt": GOOD})
    assert (await refresh(tmp_path, [("site", "sport.news.example")], RULES, NOW_S, web.get)).fetched == 1
    assert web.asked == ["https://sport.news.example/ads.txt", "https://news.example/ads.txt"]
    web.asked.clear()
    await refresh(tmp_path, [("site", "other.example")], RULES, NOW_S, web.get)
    assert web.asked == ["https://other.example/ads.txt"]


async def test_bounds(tmp_path: Path) -> None:
    """No more domains than configured are asked, and nothing that is no domain."""
    web = Web()
    wanted = [("site", "../../etc/passwd"), ("site", "127.0.0.1"), ("dooh", "screen.example")]
    wanted += [("site", f"n{number}.example") for number in range(50)]
    done = await refresh(tmp_path, wanted, RULES, NOW_S, web.get)
    assert done == Refreshed(0, 10, 0)
    assert len(web.asked) == 10


@pytest.mark.parametrize(
    "address", ["https://127.0.0.1/ads.txt", "https://localhost/ads.txt", "https://[::1]/ads.txt"]
)
async def test_our_own_network_is_out_of_reach(tmp_path: Path, address: str) -> None:
    """The real way to fetch refuses addresses of our own."""
    with pytest.raises(FetchError):
        await get(address, tmp_path / "x")
    assert os.listdir(tmp_path) == []


async def test_for_those_who_ask_most(tmp_path: Path) -> None:
    """The workers' reports say whose files are worth having."""
    run, folder = tmp_path / "run", tmp_path / "sellers"
    _mkdir(run)
    rows = [
        Source("generic", "pub", name, "site", name, requests, 0, 0, 0)
        for name, requests in (("small.example", 3), ("large.example", 9), ("middle.example", 5))
    ]
    write_report(run, Report(0, NOW_S, NOW_S, 0, rows))
    web = Web(**{"large.example/ads.txt": GOOD})
    rules = FraudRules(fetch_domains=2)
    assert await refresh_from(run, folder, rules, NOW_S, web.get) == Refreshed(1, 1, 0)
    assert web.asked == ["https://large.example/ads.txt", "https://middle.example/ads.txt"]


def _mkdir(path: Path) -> None:
    path.mkdir()
