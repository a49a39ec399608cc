"""Events that come while somebody opts out, or is erased, bring nobody back."""

from __future__ import annotations

import asyncio

import pytest

from bidder.audience.segments import compile_rules
from bidder.audience.visit import EventKind, Visit
from bidder.campaigns.model import Advertiser
from bidder.rights.erase import Eraser
from bidder.rights.verify import in_store
from bidder.stores import keys
from bidder.stores.removal import done
from bidder.stores.sync_times import SyncTimes
from bidder.stores.visitors import Seen, ShopRules
from tests.bidder.rights.conftest import LOGIN, NOW_S, ONE, TAG, House

TURNS = 15


def _seen(number: int) -> list[Seen]:
    return [Seen(Visit(EventKind.PRODUCT_VIEW, NOW_S, number + 1, 0, 0, number + 1))]


@pytest.fixture
def shop(advertisers: tuple[Advertiser, ...]) -> ShopRules:
    """The rules of the shop."""
    return ShopRules("shop", compile_rules(advertisers[0]))


async def test_whoever_opts_out_stays_out(known: House, shop: ShopRules) -> None:
    """However visits, logins, matches and syncs interleave with opting out, a tombstone is all that stays; what comes
    later is refused, too."""
    for turn in range(TURNS):
        await asyncio.gather(
            *(known.visitors.observe(ONE, shop, _seen(4 * turn + n), NOW_S) for n in range(2)),
            known.visitors.join(ONE, "shop", LOGIN, NOW_S),
            known.writer.match("exchange", f"before-{turn}", ONE, NOW_S),
            known.writer.opt_out(ONE, NOW_S),
            known.writer.match("exchange", f"after-{turn}", ONE, NOW_S),
            SyncTimes(known.client).take(ONE, [("xandr", 9)], 1, NOW_S),
            *(known.visitors.observe(ONE, shop, _seen(4 * turn + n), NOW_S) for n in (2, 3)),
        )
        assert (await known.visitors.observe(ONE, shop, _seen(1_000 + turn), NOW_S)).opted_out
        assert await done(known.client.hkeys(keys.person_key(TAG))) == [keys.OPT_OUT_FIELD]
        assert await in_store(known.client, ONE) == []
        assert await known.writer.opt_in(ONE)


async def test_whoever_is_erased_is_whole_or_gone(known: House, shop: ShopRules) -> None:
    """However visits, logins and matches interleave with an erasure: what is there afterwards is a new visit that lists
    all it has, so that one more erasure leaves nothing."""
    eraser = Eraser(known.client)
    for turn in range(TURNS):
        await asyncio.gather(
            known.visitors.observe(ONE, shop, _seen(2 * turn), NOW_S),
            known.writer.match("exchange", f"{turn}", ONE, NOW_S),
            known.visitors.join(ONE, "shop", LOGIN, NOW_S),
            eraser.erase(ONE, NOW_S, "test"),
            known.visitors.join(ONE, "shop", LOGIN, NOW_S),
            known.visitors.observe(ONE, shop, _seen(2 * turn + 1), NOW_S),
        )
        await eraser.erase(ONE, NOW_S, "test")
        assert await in_store(known.client, ONE) == []
