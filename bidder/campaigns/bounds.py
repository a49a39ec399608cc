"""What must hold of budgets, flights, time zones and frequency caps.

Place: rules.py hands these rules to the Filler along with its own.
Limits: MIN_WINDOW_S, MIN_GAP_S, MAX_WINDOW_S; counts in the types.
Never: reads files or the clock.
"""

from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from itertools import combinations
from typing import Final
from zoneinfo import available_timezones

from bidder.campaigns.durations import DAY_S, MINUTE_S, duration_text, seconds_of
from bidder.campaigns.model import (
    Advertiser,
    Budget,
    Campaign,
    Deals,
    Frequency,
    FrequencyCap,
    ItemBudget,
    ItemFrequency,
    LineItem,
)
from bidder.campaigns.structs import At, Rule

MIN_WINDOW_S: Final = MINUTE_S  # a shorter one is a gap
MIN_GAP_S: Final = 1
MAX_WINDOW_S: Final = 30 * DAY_S  # nothing of a person is kept for longer

_NO_ZONES: Final = {"Factory", "localtime"}
"""Names in the time zone data that say nothing or another thing on every machine."""


def bounds() -> dict[object, Rule]:
    """The rules by type or by (type, field)."""
    return {
        Budget: _budget,
        ItemBudget: _item_budget,
        Campaign: _campaign,
        LineItem: _flight,
        Advertiser: _advertiser,
        Deals: _deals,
        Frequency: _frequency,
        ItemFrequency: _frequency,
        (Advertiser, "time_zone"): _time_zone,
        (FrequencyCap, "per"): between(MIN_WINDOW_S, MAX_WINDOW_S),
        (Frequency, "min_gap"): between(MIN_GAP_S, MAX_WINDOW_S),
        (ItemFrequency, "min_gap"): between(MIN_GAP_S, MAX_WINDOW_S),
    }


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_ZONES)


def _time_zone(name: str, at: At) -> None:
    if name not in _zones():
        close = get_close_matches(name, sorted(_zones()), 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        at.wrong(f'expected an IANA time zone such as Europe/Berlin, found "{name[:40]}"{hint}')


def _budget(budget: Budget, at: At) -> None:
    _at_most(budget.daily, "daily", budget.total, "total", at)


def _item_budget(budget: ItemBudget, at: At) -> None:
    _at_most(budget.daily, "daily", budget.total, "total", at)
    if budget.daily is not None:
        _at_most(budget.hourly, "hourly", budget.daily, "daily", at)
    else:
        _at_most(budget.hourly, "hourly", budget.total, "total", at)


def _at_most(amount: Decimal | None, name: str, most: Decimal | None, whose: str, at: At) -> None:
    if amount is not None and most is not None and amount > most:
        at.wrong(f"expected at most the {whose} ({most}), found {amount}", name)


def _campaign(campaign: Campaign, at: At) -> None:
    _flight(campaign, at)
    for i, item in enumerate(campaign.line_items):
        _inside(campaign, item, at, i)
        for name in ("total", "daily"):
            own, whole = getattr(item.budget, name), getattr(campaign.budget, name)
            if own is not None and whole is not None and own > whole:
                message = f"is more than the campaign's ({whole}), which bounds it"
                at.advise(message, "line_items", i, "budget", name)


def _flight(flight: Campaign | LineItem, at: At) -> None:
    if flight.start and flight.end and flight.end <= flight.start:
        at.wrong(f"expected a moment after start ({flight.start.isoformat()})", "end")


def _inside(campaign: Campaign, item: LineItem, at: At, number: int) -> None:
    """A line item's flight is a part of its campaign's."""
    for name in ("start", "end"):
        moment: datetime | None = getattr(item, name)
        if moment is None:
            continue
        begins, ends = campaign.start, campaign.end
        if begins and (moment < begins or (name == "end" and moment == begins)):
            message = f"expected a moment in the campaign's flight, which starts {begins.isoformat()}"
            at.wrong(message, "line_items", number, name)
        elif ends and (moment > ends or (name == "start" and moment == ends)):
            message = f"expected a moment in the campaign's flight, which ends {ends.isoformat()}"
            at.wrong(message, "line_items", number, name)


def _deals(deals: Deals, at: At) -> None:
    if deals.guaranteed and deals.open:
        at.wrong(
            "a guaranteed deal is kept out of the open auction: give that a line item of its own", "open"
        )


def between(least_s: int, most_s: int) -> Rule:
    """A duration has bounds."""

    def rule(text: str, at: At) -> None:
        if not least_s <= seconds_of(text) <= most_s:
            bounds = f"from {duration_text(least_s)} to {duration_text(most_s)}"
            at.wrong(f"expected a duration {bounds}, found {text}")

    return rule


def _frequency(frequency: Frequency, at: At) -> None:
    visitors = isinstance(frequency, ItemFrequency) and frequency.visitors
    if not _has_caps(at) and frequency.min_gap is None and not visitors:
        at.wrong("bounds nothing: leave it out where anything goes")
    caps = [(seconds_of(cap.per), cap.views, i) for i, cap in enumerate(frequency.caps)]
    for (window_s, views, i), (other_s, others, j) in combinations(sorted(caps), 2):
        if window_s == other_s:
            last = max(i, j)
            at.wrong(f"there is another cap per {frequency.caps[last].per}", "caps", last, "per")
        elif views >= others:
            longer = frequency.caps[j]
            at.advise(f"is never reached: {longer.views} per {longer.per} is stricter", "caps", i)
    if frequency.min_gap is not None:
        _gap(frequency.min_gap, caps, at)


def _has_caps(at: At) -> bool:
    """Right or wrong: they were not forgotten."""
    written = at.node.value
    node = written.get("caps") if isinstance(written, dict) else at.node
    return node is not None and bool(node.value)


def _gap(gap: str, caps: list[tuple[int, int, int]], at: At) -> None:
    for window_s, views, i in caps:
        if -(-window_s // seconds_of(gap)) <= views:
            at.advise(f"is never reached: a gap of {gap} is stricter", "caps", i)


def _uncapped(advertiser: Advertiser, at: At) -> None:
    """Caps need to know who saw what."""
    message = "a child-directed shop has none: nobody's views are kept for it"
    places: list[tuple[object, tuple[str | int, ...]]] = [(advertiser.frequency, ("frequency",))]
    places += [(ad.frequency, ("creatives", i, "frequency")) for i, ad in enumerate(advertiser.creatives)]
    for i, campaign in enumerate(advertiser.campaigns):
        places.append((campaign.frequency, ("campaigns", i, "frequency")))
        for j, item in enumerate(campaign.line_items):
            places.append((item.frequency, ("campaigns", i, "line_items", j, "frequency")))
    for frequency, place in places:
        if frequency is not None:
            at.wrong(message, *place)


def _advertiser(advertiser: Advertiser, at: At) -> None:
    """Visitors are told apart for caps: there must be some. Of children nothing is kept."""
    if advertiser.child_directed and advertiser.segments:
        at.advise("stay empty: nothing is kept of a child-directed shop's visitors", "segments")
    if advertiser.child_directed:
        _uncapped(advertiser, at)
    ads = {creative.id: creative for creative in advertiser.creatives}
    for i, campaign in enumerate(advertiser.campaigns):
        for j, item in enumerate(campaign.line_items):
            own = item.frequency
            if own is None or not own.visitors or own.caps or own.min_gap:
                continue
            shown = [ads[name].frequency for name in item.creatives if name in ads]
            if not any((advertiser.frequency, campaign.frequency, *shown)):
                message = "caps nobody: neither the line item nor what it stands in has a cap or a gap"
                at.wrong(message, "campaigns", i, "line_items", j, "frequency", "visitors")
