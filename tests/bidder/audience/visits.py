"""Visits and shops to test with."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from bidder.audience.history import KEEP_S
from bidder.audience.visit import EventKind, Visit
from bidder.campaigns.model import Advertiser, Campaign, Creative, Goal, LineItem, Segment

NOW_S = 1_790_000_000
U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)

any_visit = st.builds(
    Visit,
    kind=st.sampled_from(EventKind),
    at_s=U32,
    product=U64,
    category=U32,
    value_micros=U64,
    event=U32,
    order=U32,
    custom=U32,
)
"""Of all that can be packed."""

recent_visit = st.builds(
    Visit,
    kind=st.sampled_from(EventKind),
    at_s=st.integers(NOW_S - KEEP_S - 5, NOW_S),
    product=st.integers(0, 5),
    category=st.integers(0, 3),
    value_micros=st.integers(0, 5_000_000),
    event=st.integers(0, 2**32 - 1),
)


def shop(*segments: Segment, advertiser_id: str = "shop", **more: Any) -> Advertiser:
    """An advertiser with segments."""
    item = LineItem(
        id="item", goal=Goal(kind="cpm", value=Decimal(1)), max_bid_cpm=Decimal(1), creatives=("ad",)
    )
    return Advertiser(
        id=advertiser_id,
        name="A shop",
        domain="shop.test",
        currency="EUR",
        creatives=(Creative(id="ad", kind="html", landing_url="https://shop.test/"),),
        campaigns=(Campaign(id="campaign", name="A campaign", line_items=(item,)),),
        segments=tuple(segments),
        **more,
    )


def keys_of(members: Sequence[tuple[int, int]]) -> set[int]:
    """The segments alone."""
    return {key for key, _ in members}
