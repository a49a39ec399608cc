"""What one run is set up with: the demo's book with flights and budgets for its seconds, and the service's rules.

Place: session.py writes both files; the service reads them as an operator's, and reads the book again when its flights
    are known: the moment at which load starts.
Shapes: the book is one file, so that it is replaced in one step.
Units: NATURAL in units of the advertiser's currency per minute.
Source: NATURAL was measured with this demo at RATE requests per second, without budgets and without pacing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import yaml

from benchmarks.exchange.shopping import SYNC_URL
from benchmarks.exchange.simulation import full_seconds
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import campaign_files
from bidder.exchanges import SHIPPED
from bidder.screening import FraudRules

RATE: Final = 500.0
PACING_PERIOD_S: Final = 1.0
NOTICE_S: Final = 2
"""The simulated exchanges tell within seconds what became of a bid; what they keep silent about is free again soon."""
EXP_S: Final = 4
SEGMENT_S: Final = 5.0
COMPACT_S: Final = 20.0
ERASE_S: Final = 8.0
VENDOR_ID: Final = 1_234
"""Whoever consents to all vendors consents to this one, too."""
HEADROOM: Final = 2.0
"""How far above the busiest person's requests a second those of a robot begin. The most active one that was seen in
200 s of requests had 1.08 times as many as the population says, televisions, which are few and ask much, among them."""
_SYNC_FIELDS: Final = "id={id}&gdpr={gdpr}&gdpr_consent={gdpr_consent}&us_privacy={us_privacy}"


class Demand(NamedTuple):
    """One campaign of the demo."""

    natural: Mapping[str, float]
    """What its line items spend per minute where nothing holds them back."""
    share: float
    """Of that, what it gets: below 1 it has to be paced, or ends early; above 1 there is not enough to buy."""


DEMANDS: Final = {
    "fernhill-retargeting": Demand(
        {"cart": 1.8, "viewers": 0.8, "searchers": 0.55, "film-visitors": 0.4}, 0.60
    ),
    "fernhill-prospecting": Demand({"home-market": 24.8, "everywhere": 0.5, "screens": 0.77}, 0.65),
    "fernhill-deals": Demand({"deal": 3.65}, 1.60),
    "solepath-retargeting": Demand(
        {"cart": 2.1, "viewers": 1.4, "lapsed": 0.85, "searchers": 0.12, "film-visitors": 0.14}, 0.60
    ),
    "solepath-prospecting": Demand({"home-market": 14.3, "everywhere": 2.7, "screens": 0.15}, 0.65),
    "solepath-deals": Demand({"deal": 3.2}, 0.40),
    "voltaro-retargeting": Demand(
        {"cart": 5.6, "viewers": 3.0, "lapsed": 1.6, "searchers": 0.5, "film-visitors": 0.16}, 0.60
    ),
    "voltaro-prospecting": Demand({"home-market": 69.5, "everywhere": 1.2, "context": 0.33}, 0.65),
    "voltaro-deals": Demand({"deal": 9.4}, 0.65),
}
MICROS: Final = 1_000_000
LEAST: Final = 0.01
"""Of its campaign's budget, what a line item gets that spends next to nothing of its own accord."""
PACING: Final = {"voltaro-deals": "even"}
"""Where the run's book differs from the demo's, so that one campaign alone spends as soon as possible."""
MARKETS: Final = {
    "fernhill-home-market": ["DEU", "FRA", "NLD"],
    "solepath-home-market": ["USA", "CAN"],
    "voltaro-home-market": ["POL", "GBR"],
}
"""One shop's each, in the run's book: three that bid the same constant value for the same impressions would show who
yields, not how budgets are paced."""


class Load(NamedTuple):
    """What the exchanges will send."""

    rate: float
    seconds: float

    @property
    def minutes(self) -> float:
        """Of RATE requests per second."""
        return self.rate / RATE * full_seconds(self.seconds) / 60


def write_book(path: Path, load: Load, start_s: float) -> None:
    """The demo's book with one flight for all, from `start_s` on, and total budgets alone."""
    flight = {
        "start": datetime.fromtimestamp(start_s, UTC).isoformat(),
        "end": datetime.fromtimestamp(start_s + load.seconds, UTC).isoformat(),
    }
    shops: list[dict[str, Any]] = []
    for file in campaign_files(demo_book_path()):
        shops += yaml.safe_load(file.read_text(encoding="utf-8"))["advertisers"]
    for shop in shops:
        for campaign in shop["campaigns"]:
            _limit(campaign, load.minutes)
            campaign |= flight
    _write(path, {"advertisers": shops})


def write_rules(path: Path, load: Load, busiest: float = 0.0, feeds: Path | None = None) -> None:
    """The service's configuration: everything that takes minutes in earnest takes seconds here. `busiest` is the share
    of the requests that the most active person sees; `feeds` the folder of the demo's feeds, None: they stand beside
    the campaigns."""
    profiles = [
        msgspec.to_builtins(profile)
        | {"notice_delay_s": NOTICE_S, "sync_url": f"{SYNC_URL.format(exchange=profile.name)}?{_SYNC_FIELDS}"}
        for profile in SHIPPED
    ]
    rules: dict[str, Any] = {
        "ledger": {"pacing_period_s": PACING_PERIOD_S, "max_exp_s": EXP_S},
        "frequency": {"visitors": True},
        "privacy": {"vendor_id": VENDOR_ID},
        "events": {"segment_s": SEGMENT_S, "compact_s": COMPACT_S, "erase_s": ERASE_S},
        "fraud": {"person_rate": person_rate(load.rate, busiest)},
        "exchanges": profiles,
    }
    if feeds is not None:
        rules["catalogue"] = {"folder": str(feeds)}
    _write(path, rules)


def person_rate(rate: float, busiest: float) -> float:
    """From how many requests a second on an id is a robot; the service's own bound where nobody knows the busiest."""
    return HEADROOM * busiest * rate if busiest else FraudRules().person_rate


def _limit(campaign: dict[str, Any], minutes: float) -> None:
    """Totals for the run in the place of all budgets; those of line items add up to their campaign's."""
    demand, lines = DEMANDS[campaign["id"]], campaign["line_items"]
    shop = campaign["id"].partition("-")[0]
    least = LEAST * sum(demand.natural.values())
    totals = {}
    for line in lines:
        natural = demand.natural.get(line["id"].removeprefix(f"{shop}-"), least)
        totals[line["id"]] = max(1, round(natural * demand.share * minutes * MICROS))
    campaign["budget"] = {"total": _amount(sum(totals.values()))}
    campaign["pacing"] = PACING.get(campaign["id"], campaign.get("pacing", "traffic"))
    for line in lines:
        line["budget"] = {"total": _amount(totals[line["id"]])}
        line.get("targeting", {}).pop("hours", None)  # a minute looks alike at all times of day
        if line["id"] in MARKETS:
            line["targeting"]["countries"] = MARKETS[line["id"]]


def _amount(micros: int) -> str:
    return f"{micros / MICROS:.6f}"


def _write(path: Path, content: dict[str, Any]) -> None:
    part = path.with_name(f".{path.name}")
    part.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    os.replace(part, path)
