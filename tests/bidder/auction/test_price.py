"""Prices against the formula written out, pair by pair; and each advertiser's knowledge for itself alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.auction.intake import context_of, opportunities_of
from bidder.auction.pending import Drops, Pending
from bidder.auction.price import NO_RATE, Pricer
from bidder.auction.retrieve import retrieve
from bidder.auction.world import World
from bidder.audience.person import Person, Profile, field_name, pack, segment_key
from bidder.campaigns.compile import Line
from bidder.config import Config
from bidder.exchanges import Exchange
from bidder.learning.priors import ConstantShading
from bidder.live import prior_rates
from bidder.opportunity import AUDIO, BANNER, NATIVE, VIDEO
from bidder.privacy.gate import FULL
from tests.bidder.auction.market import market
from tests.bidder.auction.support import NOW_S, RATES, Asked, Bench, config_of, request_of, world_of
from tests.corpus import compact

Json = dict[str, Any]
PRIORS = {BANNER: 0.002, VIDEO: 0.006, NATIVE: 0.004, AUDIO: 0.001}
WORLD = world_of(market(), config_of(max_candidates=1_000))
SHOPS = ("shoes", "bikes", "lamps")
FACTOR = 0.75

_imps = st.sampled_from(
    (
        {"banner": {"w": 300, "h": 250}},
        {"video": {"mimes": ["video/mp4"], "maxduration": 30}},
        {"banner": {"w": 728, "h": 90}, "native": {"request": '{"assets":[{"id":1,"title":{"len":90}}]}'}},
        {"audio": {"mimes": ["audio/mpeg"]}},
    )
)
_requests = st.fixed_dictionaries(
    {"imp": st.lists(_imps, min_size=1, max_size=2), "at": st.sampled_from((1, 2))},
    optional={"cur": st.sampled_from((["USD"], ["EUR"], ["JPY"]))},
)
_vectors = st.lists(st.sampled_from((-2.0, -0.5, 0.0, 0.25, 1.0, 9.0)), min_size=2, max_size=2)
_knowledge = st.fixed_dictionaries(
    {"vector": _vectors, "segments": st.lists(st.sampled_from(("visited", "bought")), unique=True)}
)
_people = st.one_of(st.none(), st.dictionaries(st.sampled_from(SHOPS), _knowledge))


def _body(request: Json) -> bytes:
    imps = [{"id": str(i)} | imp for i, imp in enumerate(request["imp"])]
    return compact({"id": "r", "tmax": 500, "site": {"domain": "news.example"}} | request | {"imp": imps})


def _field(advertiser: str, known: Json) -> bytes:
    vector = np.zeros(32, np.float16)
    vector[:2] = known["vector"]
    segments = tuple((segment_key(advertiser, name), 2**32 - 1) for name in known["segments"])
    return pack(Profile(0, vector, segments))


def _person(told: Json | None) -> Person | None:
    if told is None:
        return None
    return Person(bytes(16), {field_name(name): _field(name, known) for name, known in told.items()})


def _pending(request: Json, person: Person | None, world: World = WORLD) -> Pending:
    read = request_of(_body(request))
    currency = (read.cur or ["USD"])[0]
    context = context_of(read, Exchange(name="generic"), FULL, NOW_S, currency)
    context.opportunities = opportunities_of(context, world.factor)
    pending = Pending(Asked(b""), context, None)
    pending.person = person
    return pending


def _priced(batch: list[Pending], world: World = WORLD) -> list[tuple[int, int, Line, float, float]]:
    """(request, impression, line item, value, bid)"""
    field = retrieve(batch, world, NOW_S, Drops())
    if not len(field.line):
        return []
    prices = world.pricer.price(batch, field)
    found = []
    for place in range(len(field.line)):
        slot = field.slots[int(field.slot[place])]
        line = world.index.lines[int(field.line[place])]
        found.append(
            (
                slot.pending,
                slot.opportunity.number,
                line,
                float(prices.value[place]),
                float(prices.bid[place]),
            )
        )
    return found


def _expected(pending: Pending, number: int, line: Line, told: Json | None) -> tuple[float, float]:
    """The formula: value = worth of an impression at the response rate, within the maximum; a first price is shaded."""
    context = pending.context
    rate = RATES.factor(line.currency, context.currency)
    assert rate is not None
    offered = next(o for o in context.opportunities if o.number == number).media & line.media
    medium = next(m for m in (BANNER, VIDEO, NATIVE, AUDIO) if offered & m)
    known = (told or {}).get(line.advertiser_id)
    score = sum(a * b for a, b in zip(known["vector"], line.vector, strict=False)) if known else 0.0
    prior = PRIORS[medium]
    odds = prior / (1 - prior) * math.exp(max(-8.0, min(8.0, score)))
    click = odds / (1 + odds)
    worth = {"cpm": 1.0, "cpc": 1_000 * click, "cpa": 1_000 * click * 0.02}[line.goal]
    value = min(worth * line.goal_micros, line.max_bid_cpm_micros) * rate
    return value, value * FACTOR if context.first_price else value


@settings(max_examples=150)
@given(asked=st.lists(st.tuples(_requests, _people), min_size=1, max_size=4))
def test_prices_follow_the_formula(asked: list[tuple[Json, Json | None]]) -> None:
    """Every candidate of every impression of a batch, whatever its currency, medium, goal and person."""
    batch = [_pending(request, _person(told)) for request, told in asked]
    found = _priced(batch)
    assert found
    for place, number, line, value, bid in found:
        expected = _expected(batch[place], number, line, asked[place][1])
        assert (value, bid) == pytest.approx(expected, rel=1e-5)


@settings(max_examples=100)
@given(asked=st.lists(st.tuples(_requests, _people), min_size=2, max_size=4))
def test_a_batch_prices_as_its_requests_alone(asked: list[tuple[Json, Json | None]]) -> None:
    """Who else is in the batch changes nothing."""
    batch = [_pending(request, _person(told)) for request, told in asked]
    together = [(place, number, line.id, value, bid) for place, number, line, value, bid in _priced(batch)]
    alone = [
        (place, number, line.id, value, bid)
        for place, (request, told) in enumerate(asked)
        for _, number, line, value, bid in _priced([_pending(request, _person(told))])
    ]
    assert sorted(together) == sorted(alone)


_fields = st.one_of(_knowledge, st.binary(max_size=120))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    request=_requests,
    told=_people,
    other=st.dictionaries(st.sampled_from(("shoes", "lamps", "nobody")), _fields),
)
def test_what_others_know_never_moves_a_price(request: Json, told: Json | None, other: Json) -> None:
    """Whatever stands in other advertisers' fields, real or garbage: one shop's candidates and bids are the same."""
    own = {"bikes": (told or {}).get("bikes", {"vector": [1.0, 0.0], "segments": ["visited"]})}
    fields = {field_name("bikes"): _field("bikes", own["bikes"])}
    more = {
        field_name(name): value if isinstance(value, bytes) else _field(name, value)
        for name, value in other.items()
    }
    plain, mixed = (
        {
            (number, line.id, value, bid)
            for _, number, line, value, bid in _priced([_pending(request, Person(bytes(16), held))])
            if line.advertiser_id == "bikes"
        }
        for held in (fields, more | fields)
    )
    assert plain == mixed
    assert plain


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(other=st.dictionaries(st.sampled_from(("shoes", "lamps", "x")), _fields), request=_requests)
def test_an_auction_of_one_shop_sees_its_own_field_alone(other: Json, request: Json) -> None:
    """Where one shop bids, its bids are the same whatever other shops know of the person."""
    book = market()
    alone = type(book)(advertisers=tuple(shop for shop in book.advertisers if shop.id == "bikes"))
    own = {field_name("bikes"): _field("bikes", {"vector": [0.5, 0.0], "segments": ["visited"]})}
    more = {
        field_name(name): value if isinstance(value, bytes) else _field(name, value)
        for name, value in other.items()
    }
    answers = []
    for fields in (own, own | more):
        bench = Bench(alone)
        person = Person((3).to_bytes(16, "big"), fields)
        bench.people.people[person.id] = person
        call = bench.ask(_body(request | {"user": {"buyeruid": person.id.hex()}}))[0]
        answers.append((call.outcome, [(bid.impid, bid.crid, bid.price, bid.cid) for bid in call.bids]))
        assert bench.balance() == 0
    assert answers[0] == answers[1]


def test_a_vector_of_no_numbers_counts_as_nothing() -> None:
    """NaN and infinity in a stored vector give the prior's price, and no warning."""
    request: Json = {"imp": [{"banner": {"w": 300, "h": 250}}], "at": 2}
    broken = np.full(32, np.nan, np.float16)
    broken[1::2] = np.inf
    person = Person(bytes(16), {field_name("shoes"): pack(Profile(0, broken))})
    assert [p[3:] for p in _priced([_pending(request, person)])] == [
        p[3:] for p in _priced([_pending(request, None)])
    ]


def test_without_a_rate_there_is_no_price() -> None:
    """A line item whose currency has no rate to the request's is marked, not priced at 0."""

    def factor(own: str, wanted: str) -> float | None:
        return RATES.factor(own, wanted) if own != "JPY" else None

    config = Config()
    responses = prior_rates(config.priors, WORLD.index.columns)
    pricer = Pricer(WORLD.index, responses, ConstantShading(FACTOR), factor)
    batch = [_pending({"imp": [{"banner": {"w": 300, "h": 250}}], "at": 1}, None)]
    field = retrieve(batch, WORLD, NOW_S, Drops())
    prices = pricer.price(batch, field)
    poor = [WORLD.index.lines[int(i)].currency == "JPY" for i in field.line]
    assert (prices.bid == NO_RATE).tolist() == poor
    assert any(poor)
    assert pricer.model == "priors"
