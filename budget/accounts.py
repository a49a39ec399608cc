"""Accounts of an advertiser: which ones bound a line item at a moment, and what they are called.

Place: leases are drawn along a path; the treasurer and the appliers of notices build the same one from the same
    moment.
Shapes: "wallet" > "campaign/<id>" > "campaign/<id>/day/2026-11-22" > "line/<id>" > "line/<id>/day/2026-11-22" >
    "line/<id>/hour/2026-11-22T13"; days and hours are those of the advertiser's time zone.
Units: limits in Micros of the advertiser's currency; moments in seconds since the epoch.
"""

from datetime import datetime, tzinfo
from typing import Final

from msgspec import Struct

from budget.money import Micros

WALLET: Final = "wallet"


class Level(Struct, frozen=True, gc=False):
    """One account of a path, and the most that may ever leave it."""

    account: str
    limit: Micros | None = None
    """None: this level keeps count but bounds nothing. A wallet's bound is what was funded, never told here."""


class Limits(Struct, frozen=True):
    """What bounds one line item, as its campaign file says."""

    campaign_id: str
    line_item_id: str
    zone: tzinfo
    campaign_total: Micros | None = None
    campaign_daily: Micros | None = None
    line_total: Micros | None = None
    line_daily: Micros | None = None
    line_hourly: Micros | None = None

    @property
    def hourly(self) -> bool:
        """Whether a path of this line item lasts an hour, not a day."""
        return self.line_hourly is not None


def path_at(limits: Limits, now_s: float) -> tuple[Level, ...]:
    """The accounts that bound a line item at a moment, widest first."""
    moment = datetime.fromtimestamp(now_s, limits.zone)
    day = moment.strftime("%Y-%m-%d")
    campaign, line = f"campaign/{limits.campaign_id}", f"line/{limits.line_item_id}"
    path = [Level(WALLET), Level(campaign, limits.campaign_total)]
    if limits.campaign_daily is not None:
        path.append(Level(f"{campaign}/day/{day}", limits.campaign_daily))
    path.append(Level(line, limits.line_total))
    if limits.line_daily is not None:
        path.append(Level(f"{line}/day/{day}", limits.line_daily))
    if limits.line_hourly is not None:
        path.append(Level(f"{line}/hour/{moment.strftime('%Y-%m-%dT%H')}", limits.line_hourly))
    return tuple(path)


def period_end_s(limits: Limits, now_s: float) -> float:
    """When the path of this moment ends and another begins; infinity where no period bounds the line item.

    Counted in the advertiser's own hours and days, so that a day of 23 or 25 hours is one day.
    """
    if limits.campaign_daily is None and limits.line_daily is None and limits.line_hourly is None:
        return float("inf")
    moment = datetime.fromtimestamp(now_s, limits.zone)
    path, step_s = path_at(limits, now_s), 900.0  # zones change by quarters of an hour at the finest
    edge_s = now_s - (moment.minute % 15) * 60 - moment.second - moment.microsecond / 1e6
    while path_at(limits, edge_s) == path:
        edge_s += step_s
    return edge_s
