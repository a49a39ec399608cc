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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import yaml

from benchmarks.exchange.simulation import full_seconds
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import campaign_files
from bidder.exchanges import SHIPPED

RATE: Final = 500.0
PACING_PERIOD_S: Final = 1.0
NOTICE_S: Final = 2
"""The simulated exchanges tell within seconds what became of a bid; what they keep silent about is free again soon."""
EXP_S: Final = 3


class Demand(NamedTuple):
    """One campaign of the demo."""

    natural: float
    """What it spends per minute where nothing holds it back."""
    share: float
    """Of that, what it gets: below 1 it has to be paced, or ends early; above 1 there is not enough to buy."""


DEMANDS: Final = {
    "fernhill-retargeting": Demand(4.4, 0.65),
    "fernhill-prospecting": Demand(38.0, 0.60),
    "fernhill-deals": Demand(4.2, 1.60),
    "solepath-retargeting": Demand(8.4, 0.65),
    "solepath-prospecting": Demand(13.0, 0.65),
    "solepath-deals": Demand(3.6, 0.55),
    "voltaro-retargeting": Demand(13.0, 0.65),
    "voltaro-prospecting": Demand(23.0, 0.65),
    "voltaro-deals": Demand(12.0, 0.60),
}
PACING: Final = {"voltaro-deals": "even"}
"""Where the run's book differs from the demo's, so that one campaign alone spends as soon as possible."""


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


def write_rules(path: Path) -> None:
    """The service's configuration: everything that takes minutes in earnest takes seconds here."""
    _write(
        path,
        {
            "ledger": {"pacing_period_s": PACING_PERIOD_S, "max_exp_s": EXP_S},
            "frequency": {"visitors": True},
            "exchanges": [msgspec.to_builtins(profile) | {"notice_delay_s": NOTICE_S} for profile in SHIPPED],
        },
    )


def _limit(campaign: dict[str, Any], minutes: float) -> None:
    """A total for the run; a line item with a daily budget of its own gets its part of it."""
    demand, daily = DEMANDS[campaign["id"]], campaign["budget"].get("daily")
    total = demand.natural * demand.share * minutes
    campaign["budget"] = {"total": round(total, 6)}
    campaign["pacing"] = PACING.get(campaign["id"], campaign.get("pacing", "traffic"))
    for line in campaign["line_items"]:
        own = line.pop("budget", {}).get("daily")
        if own and daily:
            line["budget"] = {"total": round(total * own / daily, 6)}


def _write(path: Path, content: dict[str, Any]) -> None:
    part = path.with_name(f".{path.name}")
    part.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    os.replace(part, path)
