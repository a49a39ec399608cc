"""The simulated people's life beside the exchanges: shops, syncs, ads of products, the privacy pages.

Place: a Simulation that is given one lets it begin what is due, and hands it the frames of ads that were won.
Rule: who comes to be known in the run is told from who was known before: by the ids that their browsers were given.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from benchmarks.exchange.browsers import Browsers
from benchmarks.exchange.gallery import LOOKED_AT, Gallery
from benchmarks.exchange.leaving import Leaving
from benchmarks.exchange.population import Human, Population
from benchmarks.exchange.report import PeopleTotals
from benchmarks.exchange.requests import Call
from benchmarks.exchange.robots import CRAWLER
from benchmarks.exchange.shelves import Shop, shops_of, was_there
from benchmarks.exchange.shopping import Net, Shopping
from bidder.campaigns.model import Book
from bidder.keys import key64
from bidder.notices.keys import Keyring
from bidder.notices.token import Claim


class Plan(Struct, frozen=True):
    """What a street is made of."""

    book: Book
    feeds: Path
    """The folder that paths of feeds are meant from."""
    catalogues: Path
    """The service's folder of snapshots."""
    keyring: Keyring
    """The service's."""


class Street:
    """One run's."""

    def __init__(self, plan: Plan, seed: int, people: Population, net: Net) -> None:
        """Reads the feeds; raises FeedError, OSError."""
        shops = shops_of(plan.book, plan.feeds)
        self._seed = seed
        self.browsers = Browsers(lambda human: known_before(human, shops))
        self._shopping = Shopping(net, seed, people, self.browsers, shops)
        self._leaving = Leaving(net, seed, self.browsers)
        self._gallery = Gallery(net, self._shopping, shops, plan.catalogues, plan.keyring)
        self._retargeting = {
            key64(f"{shop.id}/{line.id}")
            for shop in plan.book.advertisers
            for campaign in shop.campaigns
            for line in campaign.line_items
            if line.targeting.segments and line.targeting.segments.any
        }

    def due(self, elapsed: float) -> None:
        """Let begin what is due by now."""
        self._shopping.due(elapsed)
        self._leaving.due(elapsed)

    def frame(self, url: str, human: Human, bid_id: str, clicked: Callable[[], None]) -> None:
        """An ad of products is on a screen; some look at it."""
        rng = random.Random(f"{self._seed}:{bid_id}:{human.number}")
        if rng.random() < LOOKED_AT:
            self._gallery.show(url, self.browsers.of(human), rng, clicked)

    def told(self, people: PeopleTotals) -> None:
        """Put the ids that were given into the totals, at the end."""
        people.issued_ids = sorted({name for each in self.browsers.all() for name in each.issued})

    def bid(self, call: Call, claim: Claim, people: PeopleTotals) -> None:
        """The service bids; for whom?"""
        if claim.line_item not in self._retargeting or not claim.personal:
            return
        people.recognised += 1
        people.returned += claim.person.hex() in self.browsers.of(call.human).issued


def known_before(human: Human, shops: tuple[Shop, ...]) -> bool:
    """Whether any of the shops knew somebody before the run."""
    return any(was_there(human, shop) for shop in shops)


def robots_answered(call: Call, people: PeopleTotals, *, bid: bool) -> None:
    """Count what a robot's request came to."""
    people.robots_unanswered += not bid
    if call.robot == CRAWLER:
        people.crawlers += 1
        people.crawlers_bid_on += bid
    else:
        people.robots += 1
