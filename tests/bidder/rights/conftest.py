"""A store with a person of whom everything is known, and somebody else beside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from msgspec import Struct

from bidder.audience.history import History, pack_history
from bidder.audience.person import Profile, field_name, product_key, segment_key
from bidder.audience.visit import EventKind, Visit
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Advertiser
from bidder.catalogue.product import Product
from bidder.keys import category_key
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.stores import keys
from bidder.stores.people_writer import PeopleWriter, open_client
from bidder.stores.removal import Client, done
from bidder.stores.visitors import VisitorStore
from tests.bidder.campaigns.written import change, write
from tests.servers import RealServer

NOW_S = 1_790_000_000
ONE, TWO = bytes(range(16)), bytes(range(100, 116))
TAG = keys.person_tag(ONE)
LOGIN = "ab" * 32
SEGMENTS = "    segments: [{id: viewers, when: [{event: product_view}]}]\n"
SHOE = product_key("shop", "sku-1")
GONE = product_key("shop", "sku-2")


class OneProduct:
    """A catalogue that knows one shoe."""

    def find(self, key: int) -> int:
        """Row 0 is the shoe's."""
        return 0 if key == SHOE else -1

    def product(self, row: int) -> Product:
        """The shoe, whose title is hostile."""
        assert row == 0
        return Product(
            "sku-1",
            "<b>Red & blue</b> shoe",
            "https://shop.example/1",
            "",
            10_000_000,
            "EUR",
            category="Shoes",
        )


class Catalogues:
    """Those of one shop."""

    def of(self, advertiser_id: str) -> OneProduct | None:
        """The shop's."""
        return OneProduct() if advertiser_id == "shop" else None


class House(Struct):
    """What tests of rights stand on."""

    server: RealServer
    client: Client
    writer: PeopleWriter
    visitors: VisitorStore

    def standing(self) -> set[bytes]:
        """All keys."""
        with self.server.client() as look:
            return set(look.scan_iter())


@pytest.fixture
def advertisers(tmp_path: Path) -> tuple[Advertiser, ...]:
    """The shop of the smallest book, with a segment."""
    text = change("    creatives:\n", SEGMENTS + "    creatives:\n")
    return load_book(write(tmp_path, text)).advertisers


@pytest.fixture
async def house(redis_server: RealServer) -> AsyncIterator[House]:
    """An empty store."""
    client = open_client(Stores(redis_url=redis_server.url))
    yield House(redis_server, client, PeopleWriter(client), VisitorStore(client, Tally()))
    await client.aclose()


@pytest.fixture
async def known(house: House) -> House:
    """ONE has visited, matched, seen ads, and shares a login with TWO."""
    profile = Profile(
        NOW_S,
        np.array([0.5, -0.25], np.float16),
        ((segment_key("shop", "viewers"), NOW_S + 86_400),),
        ((SHOE, NOW_S), (GONE, NOW_S - 60)),
    )
    visits = (
        Visit(EventKind.PRODUCT_VIEW, NOW_S, SHOE, category_key("shop", "Shoes"), 10_500_000),
        Visit(EventKind.PAGE_VIEW, NOW_S - 60),
    )
    for person in (ONE, TWO):
        await house.writer.save(person, {"shop": profile, "other": profile}, NOW_S)
        tag = keys.person_tag(person)
        await done(
            house.client.hset(keys.history_key(tag), field_name("shop"), pack_history(History(visits)))
        )
        await done(house.client.expire(keys.history_key(tag), 86_400))
        assert await house.visitors.join(person, "shop", LOGIN, NOW_S)
        assert await house.writer.match("exchange", person.hex()[:8], person, NOW_S)
        assert await house.writer.match("shop.shop", f"fp-{person.hex()[:8]}", person, NOW_S)
    return house
