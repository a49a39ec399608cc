"""People and their visits to two shops, and the fixture `shelf`: a store of each sort, empty."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
from msgspec.structs import replace

from bidder.audience.known import Seen, ShopRules
from bidder.audience.segments import compile_rules
from bidder.audience.visit import EventKind, Visit
from bidder.campaigns.model import EventRule, Segment
from bidder.keys import segment_key
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.stores import keys
from bidder.stores.people_writer import open_client
from tests.bidder.audience.visits import NOW_S, shop
from tests.bidder.stores.visitor_stores import Shelf
from tests.nodes import Nodes
from tests.servers import RealServer

ONE, TWO, THREE = b"\x01" * 16, b"\x02" * 16, b"\x03" * 16
DAY_S = 86_400
VIEWERS = Segment(id="viewers", when=(EventRule(event="product_view", within="7d"),))
BUYERS = Segment(id="buyers", when=(EventRule(event="purchase"),))
SHOP = ShopRules("shop", compile_rules(shop(VIEWERS, BUYERS)))
STORE = ShopRules("store", compile_rules(shop(VIEWERS, advertiser_id="store")))
KEY = segment_key("shop", "viewers")


def seen(event: int, kind: EventKind = EventKind.PRODUCT_VIEW, at_s: int = NOW_S) -> Seen:
    return Seen(Visit(kind, at_s, product=event, event=event), np.full(32, 0.1, np.float16))


def light(event: int) -> Seen:
    """So many of them stay below the bound of an affinity."""
    return replace(seen(event), vector=np.full(32, 0.01, np.float16))


def hash_of(person_id: bytes) -> bytes:
    return keys.person_key(keys.person_tag(person_id))


def history_of(person_id: bytes) -> bytes:
    return keys.history_key(keys.person_tag(person_id))


def cluster_of(login: str, advertiser_id: str = "shop") -> bytes:
    return keys.cluster_key(keys.cluster_tag(advertiser_id, login))


@pytest.fixture(params=["memory", "server", "cluster"])
async def shelf(request: pytest.FixtureRequest) -> AsyncIterator[Shelf]:
    """A store of each sort, empty."""
    client = None
    if request.param == "server":
        server: RealServer = request.getfixturevalue("redis_server")
        client = open_client(Stores(redis_url=server.url))
    elif request.param == "cluster":
        nodes: Nodes = request.getfixturevalue("nodes")
        for node in nodes.servers:
            node.flush()
        client = open_client(Stores(redis_url=nodes.urls))
    shelf = Shelf(client, Tally())
    yield shelf
    await shelf.close()


def counted(shelf: Shelf, result: str) -> int:
    return shelf.tally.cells[shelf.tally.slot("paceline_visitors_total", result)]
