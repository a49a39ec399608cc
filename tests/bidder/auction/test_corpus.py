"""Every real request through the auction in process: no fault of ours, valid answers, books in order."""

from __future__ import annotations

from collections import Counter

import pytest

from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Book
from bidder.exchanges import SHIPPED, Exchange
from bidder.outcome import Outcome
from openrtb.blocks import insecure
from tests.bidder.auction.market import Everybody, market
from tests.bidder.auction.support import RATES, Asked, Bench, config_of, faults_of
from tests.corpus import request_bodies

BATCH = 16
MAY_END = {
    Outcome.BID,
    Outcome.MALFORMED,
    Outcome.OVER_LIMIT,
    Outcome.NO_TIME,
    Outcome.SEAT_BLOCKED,
    Outcome.CURRENCY,
    Outcome.UNSUPPORTED,
    Outcome.NO_CANDIDATE,
    Outcome.FILTERED,
    Outcome.BELOW_FLOOR,
}
BOOKS = {"market": market, "demo": lambda: _demo()}


def _demo() -> Book:
    if not list(demo_book_path().glob("*.y*ml")):
        pytest.skip("the demo has no campaign files")
    return load_book(demo_book_path(), RATES)


@pytest.mark.corpus
@pytest.mark.parametrize("book", BOOKS)
@pytest.mark.parametrize("profile", SHIPPED, ids=lambda profile: profile.name)
def test_every_request_is_decided(profile: Exchange, book: str) -> None:
    """Each call is answered once, by a documented outcome; each bid passes the thorough check; sums are right."""
    bodies = request_bodies()
    bench = Bench(BOOKS[book](), Everybody(), config_of(vendor_id=6))
    calls: list[Asked] = []
    for start in range(0, len(bodies), BATCH):
        calls += bench.ask(*[body for _, body in bodies[start : start + BATCH]], profile=profile)
        assert bench.balance() == 0, (
            f"conservation is lost in {bodies[start][0]} and the {BATCH - 1} after it"
        )
    ended = Counter(call.outcome for call in calls)
    assert set(ended) <= MAY_END, {
        name: call.outcome
        for (name, _), call in zip(bodies, calls, strict=True)
        if call.outcome not in MAY_END
    }
    wrong = {
        name: found
        for (name, _), call in zip(bodies, calls, strict=True)
        if call.outcome is Outcome.BID and (found := [str(fault) for fault in faults_of(bench, call)])
    }
    assert wrong == {}
    assert ended[Outcome.BID] > len(bodies) // 4, ended
    assert bench.total("paceline_bids_total") == sum(len(call.bids) for call in calls)


@pytest.mark.corpus
def test_nothing_of_a_request_reaches_the_markup_but_its_ids() -> None:
    """Markup holds our URLs and the advertiser's: no text of a request can put markup of its own into a page."""
    bench = Bench(market(), Everybody())
    for name, body in request_bodies():
        evil = body.replace(b'"domain":"', b'"domain":"<script>evil</script>')
        for bid in bench.ask(evil)[0].bids:
            assert "evil" not in (bid.adm or ""), name
            assert not insecure(bid.adm or ""), name
