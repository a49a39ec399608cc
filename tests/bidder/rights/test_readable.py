"""What is held is told in words: nothing left out, nothing that is not there."""

from __future__ import annotations

import msgspec

from bidder.audience.person import field_name
from bidder.campaigns.model import Advertiser
from bidder.rights.holdings import holdings
from bidder.rights.readable import readable, when
from bidder.stores import keys
from bidder.stores.removal import done
from bidder.stores.sync_times import SyncTimes
from tests.bidder.rights.conftest import GONE, NOW_S, ONE, TAG, Catalogues, House


async def test_everything_is_told(known: House, advertisers: tuple[Advertiser, ...]) -> None:
    """Segments, products, tastes, visits, matches and logins have names where anybody knows them, digits where not."""
    assert await SyncTimes(known.client).take(ONE, [("xandr", 2)], 1, NOW_S) == ["xandr"]
    held = await holdings(known.client, ONE, NOW_S)
    words = readable(held, advertisers, Catalogues(), NOW_S, ["xandr", "google"])
    assert [(each.exchange, each.times) for each in words.id_given_to] == [("xandr", 1)]
    other, shop = words.shops
    assert (shop.shop, shop.name, other.name) == ("shop", "Shop", "other")
    assert [(each.name, each.until) for each in shop.segments] == [("viewers", when(NOW_S + 86_400))]
    assert [(each.id, each.title) for each in shop.products] == [
        ("sku-1", "<b>Red & blue</b> shoe"),
        (f"{GONE:016x}", ""),
    ]
    assert shop.tastes == (0.5, -0.25)
    first, second = shop.visits
    assert (first.what, first.product, first.category, first.amount) == (
        "product_view",
        "<b>Red & blue</b> shoe",
        "Shoes",
        "10.50 EUR",
    )
    assert (second.what, second.at) == ("page_view", when(NOW_S - 60))
    assert sorted(link.source for link in words.known_by) == ["exchange", "shop.shop"]
    assert [login.shop for login in words.linked_logins] == ["Shop"]
    assert words.last_seen == when(NOW_S)
    assert words.kept_until > words.last_seen
    encoded = msgspec.json.encode(words).decode()
    assert ONE.hex()[:8] not in encoded.replace(ONE.hex(), "")  # no id of an exchange


async def test_without_catalogue_or_book_keys_are_told(known: House) -> None:
    """What nobody can name any more is told all the same."""
    words = readable(await holdings(known.client, ONE, NOW_S), (), None, NOW_S)
    _, shop = words.shops
    assert [each.title for each in shop.products] == ["", ""]
    assert len(shop.segments) == 1
    assert len(shop.visits) == 2


async def test_damage_is_told(known: House) -> None:
    """A field that cannot be read is there all the same."""
    await done(known.client.hset(keys.person_key(TAG), field_name("shop"), b"\xff\xff"))
    words = readable(await holdings(known.client, ONE, NOW_S), (), None, NOW_S)
    assert [shop.unreadable for shop in words.shops] == [False, True]


async def test_nobody_is_nothing(house: House) -> None:
    """Somebody who is not known has no shops, no matches and no dates."""
    held = await holdings(house.client, ONE, NOW_S)
    assert held.nothing
    words = readable(held, (), None, NOW_S)
    assert (words.last_seen, words.kept_until, words.shops) == ("", "", ())
