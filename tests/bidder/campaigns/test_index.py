"""The compiled index against a plain matcher, over random line items, requests and people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.auction.intake import context_of, opportunities_of
from bidder.auction.pending import Drops, Pending
from bidder.auction.retrieve import retrieve
from bidder.auction.world import World
from bidder.audience.person import Person, Profile, field_name, pack, segment_key
from bidder.campaigns.model import Advertiser, Book, Campaign, Creative, LineItem
from bidder.exchanges import Exchange
from bidder.outcome import Drop
from bidder.privacy.gate import CHILD, FULL
from tests.bidder.auction.support import NOW_S, Asked, config_of, request_of, world_of
from tests.bidder.campaigns import naive, targets
from tests.corpus import compact

Json = dict[str, Any]
Told = dict[str, dict[str, int]]
Moment = tuple[float, str, bool]
"""Now, the exchange's name, whether the request is about a child."""
Found = set[tuple[int, str, str | None]]
"""(impression, line item, deal)"""


def _pending(world: World, asked: tuple[Json, Told], moment: Moment) -> Pending:
    request, told = asked
    now_s, exchange, child = moment
    permissions = CHILD if child else FULL
    profile = Exchange(name=exchange)
    context = context_of(request_of(compact(request)), profile, permissions, now_s, "USD")
    context.opportunities = opportunities_of(context, world.factor)
    pending = Pending(Asked(b"", profile), context, None)
    pending.person = _person(told, now_s) if permissions.personalise else None
    return pending


def _person(told: Told, now_s: float) -> Person:
    fields = {}
    for advertiser, held in told.items():
        segments = tuple(
            (segment_key(advertiser, name), int(now_s + left_s)) for name, left_s in held.items()
        )
        fields[field_name(advertiser)] = pack(Profile(int(now_s), np.zeros(32, np.float16), segments))
    return Person(bytes(16), fields)


def _retrieved(world: World, batch: list[Pending], now_s: float) -> tuple[list[Found], dict[Drop, int]]:
    drops = Drops()
    field = retrieve(batch, world, now_s, drops)
    found: list[Found] = [set() for _ in batch]
    for place in range(len(field.line)):
        slot = field.slots[int(field.slot[place])]
        number = -1 if field.deal is None else int(field.deal[place])
        deal = slot.opportunity.deals[number].deal.id if number >= 0 else None
        pair = (slot.opportunity.number, world.index.lines[int(field.line[place])].id, deal)
        assert pair not in found[slot.pending], "a candidate is found once"
        found[slot.pending].add(pair)
    return found, drops.counts


def _items(book: Book) -> list[tuple[Advertiser, Campaign, LineItem, list[Creative]]]:
    return [
        (advertiser, campaign, item, [ad for ad in advertiser.creatives if ad.id in item.creatives])
        for advertiser in book.advertisers
        for campaign in advertiser.campaigns
        for item in campaign.line_items
    ]


def _expected(book: Book, asked: tuple[Json, Told], moment: Moment) -> tuple[Found, dict[str, int]]:
    request, told = asked
    now_s, exchange, child = moment
    now = datetime.fromtimestamp(now_s, UTC)
    found: Found = set()
    drops: dict[str, int] = {}
    for advertiser, campaign, item, ads in _items(book):
        if not naive.wants_request(item, campaign, request, now, exchange=exchange, child=child):
            continue
        reason = naive.blocked(advertiser, ads, request)
        if reason:
            drops[reason] = drops.get(reason, 0) + 1
            continue
        held = (
            set() if child else {name for name, left_s in told.get(advertiser.id, {}).items() if left_s > 0}
        )
        if not naive.in_audience(item, held):
            continue
        for number, imp in enumerate(request["imp"]):
            if naive.wants_slot(item, ads, imp):
                found |= {(number, item.id, deal) for deal in _under(item, imp)}
    return found, drops


def _under(item: LineItem, imp: dict[str, Any]) -> list[str | None]:
    """The deals under which a line item may bid; None is the open auction."""
    pmp = imp.get("pmp", {})
    offered = [deal["id"] for deal in pmp.get("deals", ())]
    under: list[str | None] = [deal for deal in offered if item.deals is not None and deal in item.deals.ids]
    if not pmp.get("private_auction") and (item.deals is None or item.deals.open):
        under.append(None)
    return under


_asked = st.lists(st.tuples(targets.requests, targets.people), min_size=1, max_size=3)
_exchanges = st.sampled_from(("generic", "xandr"))
_children = st.sampled_from((False, False, False, True))
_checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.mark.parametrize("dimension", sorted(targets.DIMENSIONS))
@settings(max_examples=60, suppress_health_check=_checks)
@given(data=st.data(), asked=_asked, exchange=_exchanges, child=_children)
def test_each_dimension_agrees_with_a_plain_matcher(
    dimension: str, data: st.DataObject, asked: list[tuple[Json, Told]], exchange: str, child: bool
) -> None:
    """Line items that target by one dimension bid exactly where reading them says so."""
    book = data.draw(targets.books_by(dimension))
    _agrees(book, asked, (NOW_S, exchange, child), world_of(book, config_of(max_candidates=1_000)))


@settings(max_examples=250, suppress_health_check=_checks)
@given(
    book=targets.books,
    asked=_asked,
    exchange=_exchanges,
    child=_children,
    shift_s=st.sampled_from((0, 0, -7200, 3600, 50_000)),
)
def test_the_index_agrees_with_a_plain_matcher(
    book: Book, asked: list[tuple[Json, Told]], exchange: str, child: bool, shift_s: int
) -> None:
    """What a batch retrieves is what one would find by reading each line item: no more, no less, each once;
    also after the clock was moved, either way."""
    world = world_of(book, config_of(max_candidates=1_000))
    for now_s in (NOW_S, NOW_S + shift_s):
        _agrees(book, asked, (now_s, exchange, child), world)


def _agrees(book: Book, asked: list[tuple[Json, Told]], moment: Moment, world: World) -> None:
    batch = [_pending(world, each, moment) for each in asked]
    found, drops = _retrieved(world, batch, moment[0])
    dropped: dict[str, int] = {}
    for each, have in zip(asked, found, strict=True):
        wanted, lost = _expected(book, each, moment)
        assert have == wanted
        for reason, count in lost.items():
            dropped[reason] = dropped.get(reason, 0) + count
    assert {reason.name.lower(): count for reason, count in drops.items()} == dropped
