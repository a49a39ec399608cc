"""The path of a bid as a whole: batches, deadlines, people who come late, our own mistakes, sums."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.auction.run import DECIDE_NS, MIN_TIME_NS, READ_NS
from bidder.auction.world import World
from bidder.audience.identity import Lookup
from bidder.campaigns.model import Book, Segments, Targeting, Terms
from bidder.clock import ManualClock
from bidder.exchanges import Exchange
from bidder.notices.token import Audience, Claim, open_token
from bidder.outcome import Outcome
from tests.bidder.auction.market import Everybody, market
from tests.bidder.auction.support import (
    NOW_S,
    RING,
    Asked,
    Bench,
    Done,
    Known,
    Overdue,
    Read,
    Silent,
    config_of,
    person_of,
    uid,
)
from tests.bidder.campaigns import targets
from tests.corpus import compact

Json = dict[str, Any]
MARKET = market()
EXCHANGE = Exchange(name="generic", margin_ms=20, tmax_default_ms=150)


def _request(**more: Any) -> Json:
    return {
        "id": "r",
        "tmax": 100,
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
        "site": {"domain": "news.example"},
    } | more


def _known(**more: Any) -> Json:
    return _request(user={"buyeruid": uid(7)}, **more)


class Held(Known):
    """A store that answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.until_ns: list[int] = []
        self.release: list[Callable[[], None]] = []

    def read(self, lookups: Sequence[Lookup | None], deadline_ns: int, imps: Sequence[int] = ()) -> Done:
        self.asked.append(list(lookups))
        self.until_ns.append(deadline_ns)
        return _Waiting(self, len(lookups))


class _Waiting(Done):
    def __init__(self, people: Held, count: int) -> None:
        super().__init__([None] * count)
        self._held = people

    def then(self, callback: Callable[[Read], None]) -> None:
        self._held.release.append(lambda: callback(Read(self._people)))


# -- one read for a batch


def test_one_read_for_the_whole_batch() -> None:
    """Three requests, two with ids: one read, with a gap where nobody may or can be looked up."""
    people = Everybody()
    bench = Bench(MARKET, people)
    bench.ask(_known(), _request(), _known(regs={"coppa": 1}), _known())
    assert [[lookup is not None for lookup in asked] for asked in people.asked] == [
        [True, False, False, True]
    ]


def test_without_ids_nobody_is_asked() -> None:
    """A batch of strangers needs no read at all."""
    people = Everybody()
    calls = Bench(MARKET, people).ask(_request(), _request())
    assert people.asked == []
    assert [call.outcome for call in calls] == [Outcome.BID, Outcome.BID]


def test_the_read_ends_before_the_earliest_deadline() -> None:
    """What is left after the read is enough to decide the whole batch."""
    people = Held()
    bench = Bench(MARKET, people)
    bodies = [compact(_known(tmax=tmax)) for tmax in (300, 90, 1_000)]
    bench.auction.decide([Asked(body, EXCHANGE) for body in bodies])
    assert people.until_ns == [(90 - 20) * 1_000_000 - DECIDE_NS]


def test_a_hurried_request_takes_no_time_from_the_others() -> None:
    """One that leaves too little for a read is decided at once, without its person; the others keep their time."""
    people = Held()
    bench = Bench(MARKET, people)
    hurried_ms = (DECIDE_NS + READ_NS) // 1_000_000 - 1
    bodies = [
        _known(tmax=300),
        _known(tmax=20 + hurried_ms),
        _request(tmax=20 + hurried_ms),
        _request(tmax=250),
    ]
    calls = [Asked(compact(body), EXCHANGE) for body in bodies]
    bench.auction.decide(calls)
    assert [call.outcome for call in calls] == [None, Outcome.BID, Outcome.BID, Outcome.BID]
    assert people.until_ns == [(300 - 20) * 1_000_000 - DECIDE_NS]
    people.release[0]()
    assert calls[0].outcome is Outcome.BID


def test_a_batch_waits_for_its_people_and_is_then_answered() -> None:
    """Nothing is answered before the read, everything after it; requests that need no read wait with the others."""
    people = Held()
    bench = Bench(MARKET, people)
    spent: list[int] = []
    bench.auction.spent = spent.append
    calls = [Asked(compact(body), EXCHANGE) for body in (_known(), _request(), {"id": "r", "imp": []})]
    bench.auction.decide(calls)
    assert [call.outcome for call in calls] == [None, None, Outcome.MALFORMED]
    people.release[0]()
    assert [call.outcome for call in calls] == [Outcome.BID, Outcome.BID, Outcome.MALFORMED]
    assert len(spent) == 1


def test_a_batch_keeps_the_world_it_began_with() -> None:
    """A snapshot that is swapped while people are read serves the next batch, not this one."""
    people = Held()
    bench = Bench(MARKET, people)
    calls = [Asked(compact(_known()), EXCHANGE)]
    bench.auction.decide(calls)
    bench.auction.world = Bench(Book()).world
    people.release[0]()
    assert calls[0].outcome is Outcome.BID
    assert bench.ask(_request())[0].outcome is Outcome.NO_CANDIDATE


# -- deadlines


@pytest.mark.parametrize(
    ("tmax", "outcome"),
    [
        (21, Outcome.BID),
        (20, Outcome.NO_TIME),
        (1, Outcome.NO_TIME),
        (0, Outcome.BID),
        (-50, Outcome.BID),
        (None, Outcome.BID),
        ("100", Outcome.BID),
        (2**31 - 1, Outcome.BID),
    ],
)
def test_tmax(tmax: Any, outcome: Outcome) -> None:
    """Less than a millisecond within the margin is no time; absent, 0 and negative are read as the profile's."""
    assert MIN_TIME_NS == 1_000_000
    assert Bench(MARKET).ask(_request(tmax=tmax), profile=EXCHANGE)[0].outcome is outcome


def test_waiting_before_the_decision_counts() -> None:
    """The deadline is fixed at arrival: a call that stood in a queue has less time."""
    bench = Bench(MARKET)
    calls = [Asked(compact(_request(tmax=100)), EXCHANGE) for _ in range(2)]
    bench.clock.advance(0.0795)
    bench.auction.decide(calls[:1])
    bench.clock.advance(0.5)
    late = Asked(compact(_request(tmax=100)), EXCHANGE)
    bench.auction.decide([late])
    assert calls[0].outcome is late.outcome is Outcome.NO_TIME


def test_a_store_that_is_silent_makes_contextual_bids() -> None:
    """At the end of the read's time everybody is nobody, and there is time left to answer."""
    clock = ManualClock(NOW_S)
    bench = Bench(MARKET, Silent(clock), clock=clock)
    calls = bench.ask(_known(), _known())
    assert [call.outcome for call in calls] == [Outcome.BID, Outcome.BID]
    stranger, friend = (Bench(MARKET, people).ask(_known())[0] for people in (Known(), Everybody()))
    assert {bid.price for call in calls for bid in call.bids} == {bid.price for bid in stranger.bids}
    assert [bid.price for bid in stranger.bids] != [bid.price for bid in friend.bids]


def test_a_missed_deadline_is_a_counted_no_bid() -> None:
    """Chosen bids that may not be sent are counted as unsent; a call with more time is still answered."""
    clock = ManualClock(NOW_S)
    bench = Bench(MARKET, Overdue(clock), clock=clock)
    calls = bench.ask(_known(tmax=100), _known(tmax=5_000))
    assert [call.outcome for call in calls] == [Outcome.LATE, Outcome.BID]
    assert calls[0].sent == b""
    assert bench.drops()["unsent"] == 1
    assert bench.balance() == 0


def test_an_exchange_that_hung_up_gets_no_bid_counted() -> None:
    """The answer could not be sent: no bid, and the candidate is unsent."""
    people = Held()
    bench = Bench(MARKET, people)
    call = Asked(compact(_known()), EXCHANGE)
    call.connected = False
    bench.auction.decide([call])
    people.release[0]()
    assert bench.total("paceline_bids_total") == 0
    assert bench.drops()["unsent"] == 1
    assert bench.balance() == 0


# -- our own mistakes


class _BrokenGate:
    def permit(self, *_: object) -> None:
        raise RuntimeError("gate")


class _BrokenPricer:
    model = "broken"

    def price(self, *_: object) -> None:
        raise RuntimeError("pricer")


def _broken(bench: Bench, **parts: Any) -> World:
    return msgspec.structs.replace(bench.world, **parts)


def test_a_mistake_while_reading_costs_one_request(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its traceback and answered as a fault; others go on."""
    bench = Bench(MARKET)
    bench.auction.world = _broken(bench, gate=_BrokenGate())
    calls = bench.ask(_request(), {"id": "r", "imp": []})
    assert [call.outcome for call in calls] == [Outcome.FAULT, Outcome.MALFORMED]
    assert "RuntimeError: gate" in caplog.text


def test_a_mistake_while_deciding_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for an answer that never comes."""
    bench = Bench(MARKET)
    bench.auction.world = _broken(bench, pricer=_BrokenPricer())
    calls = bench.ask(_request(), _request(), profile=Exchange(name="generic", no_bid="json"))
    assert [call.outcome for call in calls] == [Outcome.FAULT, Outcome.FAULT]
    assert json.loads(calls[0].sent) == {"id": "r", "nbr": 1}
    assert "RuntimeError: pricer" in caplog.text


def test_an_answer_that_breaks_a_rule_is_held_back(caplog: pytest.LogCaptureFixture) -> None:
    """The self-check finds a bid in a floor's currency that it cannot convert; it is counted, logged, not sent."""
    bench = Bench(MARKET)
    bench.auction.world = _broken(bench, convert=lambda *_: None)
    request = _request()
    request["imp"][0] |= {"bidfloor": 0.5, "bidfloorcur": "EUR"}
    with caplog.at_level(logging.ERROR):
        call = bench.ask(request)[0]
    assert call.outcome is Outcome.SELF_CHECK
    assert call.sent == b""
    assert bench.drops()["self_check"] == 1
    assert bench.total("paceline_self_check_faults_total") == 1
    assert bench.balance() == 0
    assert "broke a rule" in caplog.text


def test_the_self_check_can_be_turned_off() -> None:
    """By configuration, for who wants the microseconds."""
    bench = Bench(MARKET, config=config_of(check_answers=False))
    bench.auction.world = _broken(bench, convert=lambda *_: None)
    request = _request()
    request["imp"][0] |= {"bidfloor": 0.5, "bidfloorcur": "EUR"}
    assert bench.ask(request)[0].outcome is Outcome.BID


# -- what is counted, and what a token says


def test_counts_by_exchange_medium_and_line_item() -> None:
    """Bids, their value and their line items are counted under their names."""
    bench = Bench(MARKET)
    call = bench.ask(_request(at=2))[0]
    (bid,) = call.bids
    assert bench.total("paceline_bids_total", "generic", "banner") == 1
    assert bench.total("paceline_line_item_bids_total", bid.cid or "") == 1
    assert bench.total("paceline_bid_value_micros_total", "USD") == round(bid.price * 1e6)


@pytest.mark.parametrize("test", [0, 1])
def test_a_token_tells_of_a_test(test: int) -> None:
    """test:1 is bid as usual, and its notices will never spend."""
    (bid,) = Bench(MARKET).ask(_request(test=test))[0].bids
    claim = open_token((bid.burl or "").rpartition("t=")[2], RING, Audience.EXCHANGE, NOW_S)
    assert isinstance(claim, Claim)
    assert claim.test is bool(test)
    assert claim.bid_cpm_micros == round(bid.price * 1e6)
    assert claim.bid_id.hex() == bid.id


def test_the_browser_has_a_token_of_its_own() -> None:
    """What stands in the markup cannot be replayed as a bill."""
    (bid,) = Bench(MARKET).ask(_request())[0].bids
    bill = (bid.burl or "").rpartition("t=")[2]
    assert bill not in (bid.adm or "")
    assert not isinstance(open_token(bill, RING, Audience.BROWSER, NOW_S), Claim)


def test_bid_ids_are_never_the_same() -> None:
    """Each bid of each request has an id of its own."""
    bench = Bench(MARKET)
    ids = [bid.id for call in bench.ask(*[_request() for _ in range(50)]) for bid in call.bids]
    assert len(set(ids)) == len(ids) >= 50


def test_an_empty_book_bids_on_nothing() -> None:
    """No campaigns: no candidates, no error."""
    bench = Bench(Book(), Everybody())
    assert bench.ask(_known())[0].outcome is Outcome.NO_CANDIDATE
    assert bench.drops() == {}


# -- sums


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    book=targets.books,
    asked=st.lists(st.tuples(targets.requests, targets.people), min_size=1, max_size=4),
    limit=st.sampled_from((1, 2, 48)),
)
def test_every_candidate_ends_once(book: Book, asked: list[tuple[Json, Any]], limit: int) -> None:
    """Random books, requests, people and limits: candidates = drops + bids, and each call is answered once."""
    people = Known()
    bodies = []
    for number, (request, told) in enumerate(asked, start=1):
        held = {name: [s for s, left_s in segments.items() if left_s > 0] for name, segments in told.items()}
        person = person_of(number, segments=held)
        people.people[person.id] = person
        bodies.append(request | {"user": request["user"] | {"buyeruid": uid(number)}})
    bench = Bench(book, people, config_of(max_candidates=limit))
    calls = bench.ask(*bodies)
    assert bench.balance() == 0
    assert bench.total("paceline_bids_total") == sum(len(call.bids) for call in calls)
    for call in calls:
        assert call.outcome not in (Outcome.FAULT, Outcome.SELF_CHECK)
        assert (call.outcome is Outcome.BID) is bool(call.bids)


@pytest.mark.parametrize("limit", [1, 3, 6])
def test_the_candidate_limit_keeps_the_best_paying(limit: int) -> None:
    """Above the limit the lowest maximum bids are left out, counted, and the winner is the same."""
    wide = Bench(MARKET, config=config_of(max_candidates=1_000))
    narrow = Bench(MARKET, config=config_of(max_candidates=limit))
    wide.ask(_request(at=2))
    narrow.ask(_request(at=2))
    total = wide.total("paceline_candidates_total")
    assert narrow.total("paceline_candidates_total") == total
    assert narrow.drops().get("candidate_limit", 0) == max(0, total - limit)
    assert narrow.balance() == 0


def _visitors(elsewhere: int, here: int) -> Book:
    """Line items for one segment; those of another country may pay more."""
    shop = MARKET.advertisers[0]
    model = shop.campaigns[0].line_items[0]
    items = tuple(
        msgspec.structs.replace(
            model,
            id=f"v{i}",
            max_bid_cpm=model.max_bid_cpm + (10 if i < elsewhere else 0),
            targeting=Targeting(
                segments=Segments(any=("visited",)),
                countries=Terms(include=("FRA" if i < elsewhere else "USA",)),
            ),
        )
        for i in range(elsewhere + here)
    )
    campaign = msgspec.structs.replace(shop.campaigns[0], line_items=items)
    return Book(advertisers=(msgspec.structs.replace(shop, campaigns=(campaign,)),))


def test_the_limit_of_segments_counts_who_fits_the_impression() -> None:
    """Line items that target elsewhere take nobody's place; of those that fit, the ones above the limit are counted."""
    bench = Bench(_visitors(elsewhere=10, here=6), Everybody(), config_of(max_candidates=4))
    call = bench.ask(_known(device={"geo": {"country": "USA"}}))[0]
    assert call.outcome is Outcome.BID
    assert bench.drops() == {"candidate_limit": 2, "outranked": 3}
