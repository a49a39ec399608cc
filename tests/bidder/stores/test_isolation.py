"""What shop A learns serves A alone: whatever happens there, not a byte of what stands for shop B changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.audience.known import Seen, ShopRules
from bidder.audience.person import field_name
from bidder.audience.segments import compile_rules
from bidder.audience.visit import EventKind, Visit
from bidder.campaigns.model import EventRule, Segment
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.stores import keys
from bidder.stores.people_writer import open_client
from tests.bidder.audience.visits import NOW_S, shop
from tests.bidder.stores.visitor_stores import Shelf, Standing
from tests.servers import RealServer

PEOPLE = [bytes([n]) * 16 for n in range(1, 5)]
LOGINS = ("one", "two")
SEGMENTS = (
    Segment(id="viewers", when=(EventRule(event="product_view", within="7d"),)),
    Segment(
        id="waiting", when=(EventRule(event="cart"),), unless=(EventRule(event="purchase", within="1d"),)
    ),
)
SHOPS = {
    name: ShopRules(name, compile_rules(shop(*SEGMENTS, advertiser_id=name))) for name in ("a", "ab", "b")
}
"""One's name begins with another's: neither is taken for it."""
KINDS = (EventKind.PRODUCT_VIEW, EventKind.CART, EventKind.PURCHASE)


class Step(NamedTuple):
    """One thing that happens in a shop."""

    shop: str
    verb: str
    person: bytes
    login: str
    kind: EventKind
    event: int


_steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(sorted(SHOPS)),
        st.sampled_from(["observe", "observe", "observe", "join", "split"]),
        st.sampled_from(PEOPLE),
        st.sampled_from(LOGINS),
        st.sampled_from(KINDS),
        st.integers(1, 6),
    ),
    max_size=25,
)


async def _take(shelf: Shelf, number: int, step: Step) -> None:
    now_s = NOW_S + 60 * number
    if step.verb == "join":
        await shelf.store.join(step.person, step.shop, step.login, now_s)
    elif step.verb == "split":
        await shelf.store.split(step.shop, step.login)
    else:
        visit = Visit(step.kind, now_s, product=step.event, event=step.event)
        seen = [Seen(visit, np.full(4, 0.5, np.float16))]
        await shelf.store.observe(step.person, SHOPS[step.shop], seen, now_s)


def _of(owner: str, standing: Standing) -> Standing:
    """What stands for one shop: its fields in every hash of a person, its clusters, its sizes."""
    clusters = {keys.cluster_tag(owner, login) for login in LOGINS}
    fields = {field_name(owner), *map(keys.cluster_field, clusters)}
    own: Standing = {}
    for key, value in standing.items():
        if key.startswith((b"p:", b"h:")):
            own[key] = {name: data for name, data in value.items() if name in fields}
        elif key in map(keys.cluster_key, clusters) or key.startswith(b"g:{%b}:" % owner.encode()):
            own[key] = value
    return {key: value for key, value in own.items() if value}


async def _together(shelf: Shelf, steps: list[Step]) -> Standing:
    """After each step of one shop the others' bytes are what they were; returns what stands at the end for one."""
    for number, step in enumerate(steps):
        before = await shelf.standing()
        await _take(shelf, number, step)
        after = await shelf.standing()
        for other in SHOPS.keys() - {step.shop}:
            assert _of(other, after) == _of(other, before), (step, other)
        everything = [_of(name, after) for name in SHOPS]
        told = {(key, name) for own in everything for key, value in own.items() for name in value}
        assert told >= {
            (key, name)
            for key, value in after.items()
            for name in value
            if isinstance(value, dict) and name != keys.SEEN_FIELD
        }
    return _of("b", await shelf.standing())


async def _alone(shelf: Shelf, steps: list[Step]) -> Standing:
    """What stands for the same shop if there is no other."""
    for number, step in enumerate(steps):
        if step.shop == "b":
            await _take(shelf, number, step)
    return _of("b", await shelf.standing())


@pytest.mark.parametrize("kind", ["memory", "server"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_steps)
def test_no_byte_of_another_shop_changes(kind: str, session_server: RealServer, steps: list[Step]) -> None:
    """Visits, logins and erasures of any shops in any order: each writes its own bytes and no others."""

    async def told(steps_of: Callable[[Shelf, list[Step]], Awaitable[Standing]]) -> Standing:
        client = None
        if kind == "server":
            session_server.flush()
            client = open_client(Stores(redis_url=session_server.url))
        shelf = Shelf(client, Tally())
        try:
            return await steps_of(shelf, steps)
        finally:
            await shelf.close()

    assert asyncio.run(told(_together)) == asyncio.run(told(_alone))
