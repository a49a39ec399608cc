"""Who stands in a bid's token, and whether the person may be measured."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from bidder.auction.pending import Pending
from bidder.campaigns.model import Book, LineItem
from bidder.notices.token import NOBODY, VISITOR, Audience, Claim, open_token
from tests.bidder.auction.market import market
from tests.bidder.auction.support import (
    NOW_S,
    PLAIN,
    RING,
    Asked,
    Bench,
    Known,
    config_of,
    person_of,
    uid,
    world_of,
)
from tests.bidder.auction.test_intake import _context
from tests.bidder.privacy.signals import VENDOR, string

PERSON = person_of(7)
MEASURED = string(1, 3, 4, 7)
PROFILED = string(1, 3, 4)


def claim_of(book: Book | None = None, **more: Any) -> Claim:
    """What the token says of the one bid on a request by PERSON's id."""
    bench = Bench(book or market(), Known({PERSON.id: PERSON}), config_of(vendor_id=VENDOR))
    request = {
        "id": "r",
        "tmax": 100,
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
        "site": {"domain": "news.example"},
        "user": {"buyeruid": uid(7)},
    }
    (bid,) = bench.ask(request | more)[0].bids
    claim = open_token((bid.burl or "").rpartition("t=")[2], RING, Audience.EXCHANGE, NOW_S)
    assert isinstance(claim, Claim)
    return claim


@pytest.mark.parametrize(
    ("user", "person", "measured"),
    [
        ({}, NOBODY, False),
        ({"buyeruid": uid(7)}, NOBODY, False),
        ({"buyeruid": uid(7), "consent": string(1)}, NOBODY, False),
        ({"buyeruid": uid(7), "consent": string(1, 7)}, NOBODY, False),
        ({"buyeruid": uid(7), "consent": PROFILED}, PERSON.id, False),
        ({"buyeruid": uid(7), "consent": MEASURED}, PERSON.id, True),
        ({"buyeruid": uid(8), "consent": MEASURED}, NOBODY, False),
    ],
)
def test_who_is_measured(user: dict[str, str], person: bytes, measured: bool) -> None:
    """Under GDPR the person is in the token with consent to be personalised, and to be measured with purpose 7 as
    well; somebody whom nobody knows is not in it."""
    claim = claim_of(user=user, regs={"gdpr": 1})
    assert claim.person == person
    assert claim.measured is measured
    assert not claim.flags & VISITOR


def test_where_no_law_asks_for_consent() -> None:
    """Without a law that asks, the known person is measured; with an opt-out nobody is there."""
    assert claim_of().measured
    assert claim_of(regs={"us_privacy": "1YYN"}).person == NOBODY


def test_an_opt_out_makes_a_request_anybodys() -> None:
    """What was taken from the request on the word of its consent goes, too: the person, the place, the permissions."""
    context = _context()
    context.zip, context.place = "USA-90210", (34.1, -118.4)
    pending = Pending(Asked(b"", PLAIN), context, None)
    pending.known(PERSON)
    assert context.person_id == PERSON.id
    pending.opt_out()
    assert pending.person is None
    assert pending.exposure is None
    assert (context.personal, context.measure) == (False, False)
    assert (context.person_id, context.zip, context.place) == (b"", "", None)


def test_nobody_sees_ads_of_shops_for_children() -> None:
    """Ads of an advertiser that is directed to children are shown to nobody in particular; none wants an audience."""
    shops = market().advertisers
    toys = Book(advertisers=tuple(replace(shop, child_directed=True) for shop in shops))
    claim = claim_of(toys)
    assert (claim.person, claim.measured, claim.personal) == (NOBODY, False, False)
    wanted = {
        item.id for shop in shops for plan in shop.campaigns for item in plan.line_items if _audience(item)
    }
    lines = {line.id for line in world_of(toys).index.lines}
    assert wanted
    assert lines == {line.id for line in world_of(market()).index.lines} - wanted


def _audience(item: LineItem) -> bool:
    segments = item.targeting.segments
    return segments is not None and bool(segments.any)
