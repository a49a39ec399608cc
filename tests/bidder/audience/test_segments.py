"""Segments: who is in one, until which second, and what an evaluator says that walks the clock."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bidder.audience.segments import MAX_STAY_S, compile_rules
from bidder.audience.visit import KINDS, EventKind, Visit
from bidder.campaigns.durations import seconds_of
from bidder.campaigns.model import EventRule, Segment
from bidder.keys import category_key, name_key, product_key, segment_key
from tests.bidder.audience.visits import NOW_S, shop

KEY = segment_key("shop", "segment")
SHOES, SHIRTS = (category_key("shop", name) for name in ("Shoes", "Shirts"))
BOOT, SANDAL = (product_key("shop", name) for name in ("boot", "sandal"))
DAY_S = 86_400


def _holds(rule: EventRule, visits: Sequence[Visit], at_s: int) -> bool:
    """As the campaign file says it, word by word."""
    categories = {category_key("shop", name) for name in rule.categories}
    products = {product_key("shop", name) for name in rule.products}
    worth: dict[object, int] = {}
    for number, visit in enumerate(visits):
        if visit.kind is not KINDS[rule.event] or not at_s < visit.at_s + seconds_of(rule.within):
            continue
        if categories and visit.category not in categories:
            continue
        if products and visit.product not in products:
            continue
        if rule.custom and visit.custom != name_key("shop", rule.custom):
            continue
        event = visit.event or ("nameless", number)
        worth[event] = worth.get(event, 0) + visit.value_micros
    least = 0 if rule.min_value is None else int(rule.min_value * 1_000_000)
    return sum(value >= least for value in worth.values()) >= rule.at_least


def _inside(segment: Segment, visits: Sequence[Visit], at_s: int) -> bool:
    """Whether somebody who does nothing more is in a segment at a moment; `keep` counts from the last event that
    one of its rules speaks of."""
    fitting = [
        visit.at_s
        for visit in visits
        for rule in segment.when
        if _holds(replace(rule, at_least=1, within="30d"), _of_event(visit, visits), visit.at_s)
        and _fits(rule, visit)
    ]
    return (
        all(_holds(rule, visits, at_s) for rule in segment.when)
        and not any(_holds(rule, visits, at_s) for rule in segment.unless)
        and at_s < max(fitting, default=0) + seconds_of(segment.keep)
    )


def _fits(rule: EventRule, visit: Visit) -> bool:
    return _holds(replace(rule, at_least=1, within="30d", min_value=None), [visit], visit.at_s)


def _of_event(visit: Visit, visits: Sequence[Visit]) -> list[Visit]:
    same = [each for each in visits if each.event and each.event == visit.event]
    return same or [visit]


_EVENTS = ("product_view", "cart", "custom")
_rules = st.builds(
    EventRule,
    event=st.sampled_from(_EVENTS),
    categories=st.sampled_from([(), ("Shoes",), ("Shoes", "Shirts")]),
    products=st.sampled_from([(), ("boot",)]),
    custom=st.sampled_from([None, None, "quiz"]),
    at_least=st.integers(1, 3),
    within=st.sampled_from(["1m", "90s", "2m", "3m"]),
    min_value=st.sampled_from([None, Decimal("0.5"), Decimal(2)]),
)
_segments = st.builds(
    Segment,
    id=st.just("segment"),
    when=st.lists(_rules, min_size=1, max_size=2).map(tuple),
    unless=st.lists(_rules, max_size=2).map(tuple),
    keep=st.sampled_from(["1m", "100s", "30d"]),
)


@st.composite
def _visits(draw: st.DrawFn) -> list[Visit]:
    """Events of one to three visits; those of one event are of one kind and one time."""
    visits = []
    for event in range(draw(st.integers(0, 5))):
        kind, ago_s = KINDS[draw(st.sampled_from(_EVENTS))], draw(st.integers(0, 250))
        named = draw(st.booleans())
        visits += [
            Visit(
                kind,
                NOW_S - ago_s,
                product=draw(st.sampled_from([0, BOOT, SANDAL])),
                category=draw(st.sampled_from([0, SHOES, SHIRTS])),
                value_micros=draw(st.sampled_from([0, 500_000, 1_000_000])),
                event=event + 1 if named else 0,
                custom=draw(st.sampled_from([0, name_key("shop", "quiz")])),
            )
            for _ in range(draw(st.integers(1, 3)))
        ]
    return visits


@settings(max_examples=300)
@given(segment=_segments, visits=_visits())
def test_every_second_is_right(segment: Segment, visits: list[Visit]) -> None:
    """One look tells for every second of the next minutes whether somebody who does nothing more is in the segment:
    the same as asking the rules anew each second."""
    rules = compile_rules(shop(segment))
    stays = rules.stays(visits, NOW_S)
    members = rules.members(visits, NOW_S)
    assert len(stays) <= 1
    for at_s in range(NOW_S, NOW_S + 200):
        told = any(stay.begins_s <= at_s < stay.expires_s for stay in stays)
        assert told == _inside(segment, visits, at_s), at_s - NOW_S
    assert bool(members) == _inside(segment, visits, NOW_S)


def _members(segment: Segment, *visits: Visit, now_s: int = NOW_S) -> tuple[tuple[int, int], ...]:
    return compile_rules(shop(segment)).members(visits, now_s)


def _segment(*when: EventRule, unless: tuple[EventRule, ...] = (), keep: str = "30d") -> Segment:
    return Segment(id="segment", when=when, unless=unless, keep=keep)


VIEW = Visit(EventKind.PRODUCT_VIEW, NOW_S - 100, product=BOOT, category=SHOES, value_micros=5_000_000)


def test_a_membership_ends_with_its_window() -> None:
    """The window ends `within` after the event, and that second is out."""
    segment = _segment(EventRule(event="product_view", within="1d"))
    assert _members(segment, VIEW) == ((KEY, VIEW.at_s + DAY_S),)
    assert _members(segment, VIEW, now_s=VIEW.at_s + DAY_S - 1) == ((KEY, VIEW.at_s + DAY_S),)
    assert _members(segment, VIEW, now_s=VIEW.at_s + DAY_S) == ()


def test_of_several_events_the_one_that_counts_ends_it() -> None:
    """Two of three are enough: the second latest decides."""
    segment = _segment(EventRule(event="product_view", at_least=2, within="1d"))
    visits = [replace(VIEW, at_s=NOW_S - ago_s) for ago_s in (30, 10, 20)]
    assert _members(segment, *visits) == ((KEY, NOW_S - 20 + DAY_S),)
    assert _members(segment, visits[0]) == ()


def test_keep_ends_a_membership_early() -> None:
    """Without a new event nobody stays longer than `keep`, whatever the window."""
    segment = _segment(EventRule(event="product_view", within="7d"), keep="1d")
    assert _members(segment, VIEW) == ((KEY, VIEW.at_s + DAY_S),)
    assert _members(segment, VIEW, Visit(EventKind.SEARCH, NOW_S), now_s=VIEW.at_s + DAY_S) == ()


def test_nobody_stays_for_longer_than_a_month() -> None:
    """A visit of a clock that is ahead does not prolong a membership beyond MAX_STAY_S."""
    segment = _segment(EventRule(event="product_view"))
    assert _members(segment, replace(VIEW, at_s=NOW_S + 5_000)) == ((KEY, NOW_S + MAX_STAY_S),)


def test_who_bought_comes_back_when_that_is_long_ago() -> None:
    """Excluded by a purchase, somebody is in again the second that `unless` lapses: told before it happens."""
    segment = _segment(
        EventRule(event="product_view", within="7d"),
        unless=(EventRule(event="purchase", within="1d"),),
    )
    bought = Visit(EventKind.PURCHASE, NOW_S - 50)
    rules = compile_rules(shop(segment))
    (stay,) = rules.stays([bought, VIEW], NOW_S)
    assert (stay.begins_s, stay.expires_s) == (bought.at_s + DAY_S, VIEW.at_s + 7 * DAY_S)
    assert rules.members([bought, VIEW], NOW_S) == ()
    assert rules.members([bought, VIEW], bought.at_s + DAY_S) == ((KEY, VIEW.at_s + 7 * DAY_S),)


@pytest.mark.parametrize(
    ("rule", "inside"),
    [
        (EventRule(event="product_view", categories=("shoes",)), True),
        (EventRule(event="product_view", categories=("  SHOES ",)), True),
        (EventRule(event="product_view", categories=("Shirts",)), False),
        (EventRule(event="product_view", products=("boot",)), True),
        (EventRule(event="product_view", products=("Boot",)), False),
        (EventRule(event="product_view", min_value=Decimal(5)), True),
        (EventRule(event="product_view", min_value=Decimal("5.000001")), False),
        (EventRule(event="cart"), False),
    ],
    ids=["category", "case", "other category", "product", "other product", "worth", "too little", "kind"],
)
def test_what_a_rule_asks_for(rule: EventRule, inside: bool) -> None:
    """Kinds, categories in whatever case, products as they are spelled, values to the millionth."""
    assert bool(_members(_segment(rule), VIEW)) is inside


def test_a_cart_is_worth_what_is_in_it() -> None:
    """The visits of one event are one event: their values add up, and they count once."""
    cart = Visit(EventKind.CART, NOW_S, category=SHOES, value_micros=60_000_000, event=9)
    other = replace(cart, category=SHIRTS)
    rule = EventRule(event="cart", min_value=Decimal(100))
    assert _members(_segment(rule), cart, other)
    assert not _members(_segment(rule), cart, replace(other, event=10))
    assert not _members(_segment(replace(rule, categories=("Shoes",))), cart, other)
    assert not _members(_segment(EventRule(event="cart", at_least=2)), cart, other)


def test_a_custom_event_has_a_name() -> None:
    """Of custom events, the one that the rule names."""
    quiz = Visit(EventKind.CUSTOM, NOW_S, custom=name_key("shop", "quiz"))
    assert _members(_segment(EventRule(event="custom", custom="quiz")), quiz)
    assert not _members(_segment(EventRule(event="custom", custom="other")), quiz)


def test_segments_are_told_by_key_and_id() -> None:
    """Each segment has its own answer, under its own key."""
    rules = compile_rules(
        shop(
            Segment(id="viewers", when=(EventRule(event="product_view"),)),
            Segment(id="buyers", when=(EventRule(event="purchase"),)),
            Segment(id="shoes", when=(EventRule(event="product_view", categories=("Shoes",)),)),
        )
    )
    found = {rules.ids[key] for key, _ in rules.members([VIEW], NOW_S)}
    assert found == {"viewers", "shoes"}


def test_shops_do_not_share_keys() -> None:
    """The same category of another shop is another category."""
    rules = compile_rules(
        shop(_segment(EventRule(event="product_view", categories=("Shoes",))), advertiser_id="b")
    )
    assert rules.members([VIEW], NOW_S) == ()
