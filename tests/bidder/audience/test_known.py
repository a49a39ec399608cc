"""What an advertiser knows after more visits: the same however they came, bounded, never older than a month."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bidder.audience.history import KEEP_S, MAX_VISITS, History
from bidder.audience.known import Known, Seen, ShopRules, added
from bidder.audience.person import MAX_DIMENSIONS, MAX_PRODUCTS, MAX_SEGMENTS, Profile, pack, segments_of
from bidder.audience.segments import compile_rules
from bidder.audience.visit import EventKind, Visit
from bidder.campaigns.model import EventRule, Segment
from bidder.keys import segment_key
from tests.bidder.audience.visits import NOW_S, keys_of, recent_visit, shop

SEGMENTS = (
    Segment(id="viewers", when=(EventRule(event="product_view", at_least=2, within="7d"),)),
    Segment(id="carts", when=(EventRule(event="cart"),), unless=(EventRule(event="purchase", within="5d"),)),
    Segment(
        id="lapsed",
        when=(EventRule(event="product_view", within="20d"), EventRule(event="search")),
        unless=(EventRule(event="product_view", within="3d"),),
        keep="15d",
    ),
)
SHOP = ShopRules("shop", compile_rules(shop(*SEGMENTS)))
VIEW = Visit(EventKind.PRODUCT_VIEW, NOW_S, product=1, event=1)
_NOTHING = np.zeros(0, np.float16)


def _vector(visit: Visit) -> np.ndarray[tuple[int], np.dtype[np.float16]] | None:
    """Of a visit's product; some have none."""
    if not visit.product % 3:
        return None
    return np.random.default_rng(visit.product).uniform(-0.05, 0.05, 8).astype(np.float16)


def _all(visits: list[Visit], calls: list[int], known: Known | None = None) -> Known:
    """Visits in calls of such sizes, all at one moment."""
    known, rest = known or Known(), [Seen(visit, _vector(visit)) for visit in visits]
    for size in [*calls, len(rest)]:
        now, rest = rest[:size], rest[size:]
        if now:
            new = added(known, SHOP, now, NOW_S)
            known = Known(new.profile, new.history)
    return known


@given(
    visits=st.lists(recent_visit.filter(lambda v: v.event > 0), max_size=40, unique_by=lambda v: v.event),
    data=st.data(),
    sizes=st.lists(st.integers(1, 10), max_size=10),
)
def test_calls_and_their_order_do_not_matter(
    visits: list[Visit], data: st.DataObject, sizes: list[int]
) -> None:
    """All at once, or some at a time in any order, with repeats: the same history, segments and products, and as
    near as float16 allows the same affinity."""
    once = _all(visits, [])
    repeated = data.draw(st.permutations(visits)) + visits[: len(visits) // 2]
    often = _all(repeated, sizes)
    assert sorted(map(repr, often.history.visits)) == sorted(map(repr, once.history.visits))
    assert (often.profile is None) == (once.profile is None)
    if once.profile is not None and often.profile is not None:
        assert often.profile.segments == once.profile.segments
        assert often.profile.waiting == once.profile.waiting
        assert often.profile.products == once.profile.products
        assert np.allclose(
            np.resize(often.profile.affinity, 8) if len(often.profile.affinity) else np.zeros(8),
            np.resize(once.profile.affinity, 8) if len(once.profile.affinity) else np.zeros(8),
            atol=0.02,
        )


@given(visits=st.lists(recent_visit, max_size=150), sizes=st.lists(st.integers(1, 60), max_size=5))
def test_whatever_comes_can_be_kept(visits: list[Visit], sizes: list[int]) -> None:
    """Any number of visits packs within the limits."""
    known = _all(visits, sizes)
    assert len(known.history.visits) <= MAX_VISITS
    if known.profile is not None:
        assert pack(known.profile)
        assert len(known.profile.products) <= MAX_PRODUCTS


@given(visits=st.lists(recent_visit, max_size=30), later_s=st.integers(0, KEEP_S))
def test_a_bid_sees_at_any_time_what_the_rules_say(visits: list[Visit], later_s: int) -> None:
    """The path of a bid reads from the bytes, whenever it comes, the segments that the rules find at that time."""
    new = added(Known(), SHOP, [Seen(visit) for visit in visits], NOW_S)
    at_s = NOW_S + later_s
    read = {key for key, expires_s in segments_of(pack(new.profile), at_s) if expires_s > at_s}
    assert read == keys_of(SHOP.rules.members(new.history.visits, at_s))


def test_counts_are_of_visits() -> None:
    """Kept and repeated add up to what came; what falls out at once is neither."""
    known = _all([replace(VIEW, event=n, at_s=NOW_S - n) for n in range(2, 2 + MAX_VISITS)], [])
    late = replace(VIEW, event=999, at_s=NOW_S - 10_000)
    old = replace(VIEW, event=998, at_s=NOW_S - KEEP_S)
    new = added(
        known, SHOP, [Seen(VIEW), Seen(VIEW), Seen(replace(VIEW, event=5)), Seen(late), Seen(old)], NOW_S
    )
    assert (new.kept, new.repeated) == (1, 2)


def test_the_future_is_now() -> None:
    """A clock that is ahead gives nobody a longer stay."""
    new = added(Known(), SHOP, [Seen(replace(VIEW, at_s=NOW_S + 999))], NOW_S)
    assert new.history.visits[0].at_s == NOW_S


def test_products_are_forgotten_after_a_month() -> None:
    """A product that was seen longer ago goes with the next visit; at most MAX_PRODUCTS stay, the latest."""
    before = Profile(NOW_S - 5, _NOTHING, products=((7, NOW_S - KEEP_S), (8, NOW_S - KEEP_S + 1)))
    new = added(Known(before), SHOP, [Seen(VIEW)], NOW_S)
    assert new.profile.products == ((1, NOW_S), (8, NOW_S - KEEP_S + 1))
    many = [Seen(replace(VIEW, product=n, event=n, at_s=NOW_S - n)) for n in range(1, MAX_PRODUCTS + 2)]
    products = added(Known(), SHOP, many, NOW_S).profile.products
    assert [product for product, _ in products] == list(range(1, MAX_PRODUCTS + 1))


def test_a_size_counts_once_a_day() -> None:
    """Who comes into a segment, or is seen in it on another day, is told to be counted; not who was counted today."""
    day_s = 86_400
    cart = Visit(EventKind.CART, NOW_S, event=1)
    first = added(Known(), SHOP, [Seen(cart)], NOW_S)
    assert first.entered == (segment_key("shop", "carts"),)
    known = Known(first.profile, first.history)
    assert added(known, SHOP, [Seen(VIEW)], NOW_S + 1).entered == ()
    assert added(known, SHOP, [Seen(replace(VIEW, event=3))], NOW_S + day_s).entered == first.entered


def test_segments_have_room_for_what_is_defined() -> None:
    """Segments of definitions go before those that others set; of these the ones that hold longest stay."""
    others = tuple((n, NOW_S + n) for n in range(1, MAX_SEGMENTS + 1))
    before = Profile(NOW_S, _NOTHING, others)
    cart = Seen(Visit(EventKind.CART, NOW_S, event=1))
    segments = added(Known(before), SHOP, [cart], NOW_S).profile.segments
    assert len(segments) == MAX_SEGMENTS
    assert segments[0][0] == segment_key("shop", "carts")
    assert (1, NOW_S + 1) not in segments
    assert (2, NOW_S + 2) in segments


def test_a_vector_that_is_too_long_is_left_out() -> None:
    """More than MAX_DIMENSIONS cannot be kept."""
    longest, longer = (np.ones(size, np.float16) for size in (MAX_DIMENSIONS, MAX_DIMENSIONS + 1))
    assert len(added(Known(), SHOP, [Seen(VIEW, longest)], NOW_S).profile.affinity) == MAX_DIMENSIONS
    assert len(added(Known(), SHOP, [Seen(VIEW, longer)], NOW_S).profile.affinity) == 0


def test_a_version_tells_writes_apart() -> None:
    """The same visits written again are another version: who compares what was read sees that somebody wrote."""
    new = added(Known(None, History((), 7)), SHOP, [Seen(VIEW)], NOW_S)
    assert new.history.version == 8
