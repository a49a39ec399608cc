"""Requests that no person is behind: crawlers, who say so, and one id that asks more often than any person can.

Place: requests.Traffic makes some of its calls robots' where it is told a share.
Shapes: CRAWLERS of them are crawlers', the others are the id's: at 500 requests a second and a share of 0.06, 25 a
    second, where the most active of 5,000 people sees 3.5.
"""

from __future__ import annotations

import random
from typing import Final

from benchmarks.exchange import consent
from benchmarks.exchange.dialects import Json
from benchmarks.exchange.inventory import DEVICES, PLACES
from benchmarks.exchange.population import Human

CRAWLER: Final = "crawler"
RATE: Final = "rate"
CRAWLERS: Final = 1 / 6
NUMBER: Final = 1_000_000_007
"""Of the id, beyond all people."""

_AGENTS: Final = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "python-requests/2.32.3",
    "curl/8.5.0",
)
_PLACE: Final = next(place for place in PLACES if place.country == "USA")


class Robots:
    """Says which requests are robots'; `share` of all of them."""

    def __init__(self, seed: int, share: float) -> None:
        self._rng = random.Random(f"robots:{seed}")
        self._share = share
        digits = f"{self._rng.getrandbits(128):032x}"
        self.busy = Human(
            NUMBER, digits, "", _PLACE, DEVICES[0], True, False, None, consent.us_privacy(False)
        )
        """The id that asks and asks."""

    def draw(self) -> str:
        """CRAWLER, RATE, or nothing for a person's request."""
        chance = self._rng.random()
        if chance >= self._share:
            return ""
        return CRAWLER if chance < self._share * CRAWLERS else RATE

    def crawl(self, request: Json) -> None:
        """Make a request a crawler's, in place."""
        device: Json = request.setdefault("device", {})
        device["ua"] = self._rng.choice(_AGENTS)
        device.pop("sua", None)
