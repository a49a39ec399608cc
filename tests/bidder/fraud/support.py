"""Requests as the screen sees them: read like real ones, with what a test wants different."""

from __future__ import annotations

import json
from typing import Any

from bidder.auction.identify import lookup_of
from bidder.auction.intake import context_of, opportunities_of, read_request
from bidder.audience.identity import Lookup
from bidder.campaigns.rates import load_rates
from bidder.exchanges import SHIPPED, Exchange
from bidder.fraud.score import Screen
from bidder.metrics import Tally
from bidder.opportunity import Context
from bidder.privacy.gate import Gate
from bidder.privacy.signals import signals_of
from bidder.screening import FraudRules

NOW_S = 1_795_608_000.0
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
SECRET = b"0123456789abcdef"
_RATES = load_rates()
_BY_NAME = {exchange.name: exchange for exchange in SHIPPED}


def request(**changes: Any) -> dict[str, Any]:
    """A request of a person with a browser; objects in `changes` are laid over its own, None takes them away."""
    whole: dict[str, Any] = {
        "id": "1",
        "imp": [{"id": "1", "tagid": "top", "banner": {"format": [{"w": 300, "h": 250}]}}],
        "site": {"domain": "news.example", "page": "https://news.example/", "publisher": {"id": "pub-1"}},
        "device": {"ua": CHROME, "ip": "198.51.100.7", "geo": {"country": "USA", "utcoffset": -300}},
        "user": {"id": "user-1"},
    }
    for name, value in changes.items():
        if value is None:
            whole.pop(name, None)
        elif isinstance(value, dict) and isinstance(whole.get(name), dict):
            whole[name] = {key: kept for key, kept in (whole[name] | value).items() if kept is not None}
        else:
            whole[name] = value
    return whole


def context(exchange: str = "generic", **changes: Any) -> tuple[Context, Lookup | None]:
    """What run hands to the screen for such a request."""
    profile: Exchange = _BY_NAME[exchange]
    read = read_request(json.dumps(request(**changes)).encode())
    permissions = Gate(0).permit(signals_of(read), NOW_S)
    made = context_of(read, profile, permissions, NOW_S, "USD")
    made.opportunities = opportunities_of(made, _RATES.factor)
    return made, lookup_of(read, profile) if permissions.read_id else None


def screen(tally: Tally | None = None, **rules: Any) -> Screen:
    """A screen with rules of its own, and a secret that every run has."""
    return Screen(FraudRules(**rules), tally or Tally(), NOW_S, SECRET)


def judged(subject: Screen, now_s: float = NOW_S, **changes: Any) -> int:
    """The reasons against such a request."""
    return subject.judge(*context(**changes), now_s).reasons
