"""Frequency caps on real processes: page views whose requests reach several workers at once.

Shapes: a page is several requests for one person, each on a connection of its own, so that the kernel spreads them
    over the workers. Every bid that is returned counts as shown, unless its loss is told.
"""

from __future__ import annotations

import asyncio
import html
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.service.client import Client, bid_request, bids, connected, post
from tests.service.service import Service, started

pytestmark = pytest.mark.process

CAPS: Final = Path(__file__).parent / "data" / "caps.yaml"
SITES: Final = {"once.example": 1, "thrice.example": 3}
"""A site to the cap of the only line item that bids there."""
WORKERS: Final = 3
PEOPLE: Final = 10
PAGES: Final = 4


class Page(NamedTuple):
    """What one view asks for, and what becomes of it."""

    requests: int
    imps: int
    lose: float = 0.0
    """Share of the bids that lose."""


KINDS: Final = {"eight requests": Page(8, 1), "half lost": Page(8, 1, 0.5), "four of four": Page(4, 4)}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all bursts; each person is somebody else."""
    with started(tmp_path_factory.mktemp("caps") / "data", workers=WORKERS, campaigns=CAPS) as running:
        yield running
        seen = running.settled()
        seen.conserved()
        assert not seen.total("paceline_outcomes_total", outcome="fault")


class Browser:
    """One person's pages and what was shown on them."""

    def __init__(self, service: Service, site: str, chance: random.Random) -> None:
        self._service, self._chance = service, chance
        self.person, self._site = chance.randbytes(16).hex(), site
        self.shown = 0
        self._telling: list[asyncio.Task[None]] = []

    async def view(self, page: Page) -> None:
        """One page: all its requests at once, on new connections; who lost is told before the next."""
        imps = [{"id": str(n), "banner": {"w": 300, "h": 250}, "secure": 1} for n in range(page.imps)]
        site = {"id": self._site, "domain": self._site}
        body = bid_request(user={"buyeruid": self.person}, site=site, imp=imps)
        clients = [Client(self._service.exchange) for _ in range(page.requests)]
        answers = await asyncio.gather(*[client.ask(post(body)) for client in clients])
        for client in clients:
            await client.close()
        found = [bid for answer in answers if answer.status == 200 for bid in bids(answer)]
        for bid in found:
            if self._chance.random() < page.lose:
                await self._call(bid["lurl"])
            else:
                self.shown += 1
                self._telling.append(asyncio.create_task(self._see(bid)))

    async def _see(self, bid: dict[str, Any]) -> None:
        """The ad is shown: its notices come late, twice, or never."""
        (beacon,) = re.findall(r"https?://[^\s\"'<>]+/imp\?[^\s\"'<>]+", html.unescape(bid["adm"]))
        for url in (bid["nurl"], bid["burl"], beacon):
            for _ in range(self._chance.choice((0, 1, 1, 2))):
                await asyncio.sleep(self._chance.random() ** 3)
                await self._call(url)

    async def _call(self, url: str) -> None:
        parts = urlsplit(url)
        async with connected(self._service.public) as client:
            wire = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            assert (await client.ask(wire.encode())).status in (200, 204)

    async def leave(self) -> None:
        """Wait until everything is told."""
        await asyncio.gather(*self._telling)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("site", SITES)
async def test_bursts_over_several_workers_keep_within_the_cap(
    service: Service, site: str, kind: str
) -> None:
    """Pages of parallel requests for one person, over and over, with notices late, doubled and missing: never more is
    shown than the cap, and where nothing is lost, never less."""
    chance, page = random.Random(f"{site} {kind}"), KINDS[kind]
    browsers = [Browser(service, site, chance) for _ in range(PEOPLE)]
    for _ in range(PAGES):
        for first in range(0, PEOPLE, 2):  # two people at once
            await asyncio.gather(*[browser.view(page) for browser in browsers[first : first + 2]])
    for browser in browsers:
        await browser.leave()
    shown = [browser.shown for browser in browsers]
    assert max(shown) <= SITES[site], "impressions above the cap"
    assert page.lose or min(shown) == SITES[site]
