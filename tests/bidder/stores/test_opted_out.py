"""People who opted out, on a real server: they are read as nobody, and nothing is left where they stand."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from bidder.auction.run import Auction, Hands
from bidder.audience.frequency import HOLD
from bidder.audience.identity import Lookup
from bidder.audience.person import Profile, field_name, pack, segment_key
from bidder.campaigns.model import (
    Advertiser,
    Book,
    Campaign,
    Creative,
    FrequencyCap,
    Goal,
    ItemFrequency,
    LineItem,
    Segments,
    Targeting,
)
from bidder.clock import SystemClock
from bidder.exchanges import Exchange
from bidder.metrics import Tally
from bidder.notices.token import NOBODY, Audience, Claim, open_token
from bidder.outcome import Outcome
from bidder.stores import keys
from bidder.stores.connection import Connection
from bidder.stores.frequency_writer import FrequencyWriter
from bidder.stores.people import PeopleReader, Reading
from tests.bidder.auction.support import HOLD_S, PLAIN, RING, Asked, Boundless, world_of
from tests.bidder.stores.conftest import Connect
from tests.bidder.stores.worker import ME, NOW_S, PATIENT, TAG, Worker, bid_record, teach
from tests.servers import RealServer, eventually

OTHER = b"\x06" * 16
TOMBSTONE = struct.pack("<I", NOW_S)
TTL_S = 390 * 86_400


@pytest.fixture
async def worker(redis_server: RealServer, connect: Connect, tally: Tally) -> Worker:
    """A worker on a server that knows the scripts."""
    teach(redis_server)
    return Worker(await connect(redis_server.url), tally)


def opt_out(server: RealServer, person: bytes = ME) -> None:
    """The tombstone of a person."""
    with server.client() as client:
        key = keys.person_key(keys.person_tag(person))
        client.delete(key)
        client.hset(key, keys.OPT_OUT_FIELD, TOMBSTONE)
        client.expire(key, TTL_S)


def lead(server: RealServer, match: str, to: bytes) -> None:
    """A row of the match table."""
    with server.client() as client:
        client.set(keys.match_key(keys.match_tag(match)), to, ex=TTL_S)


def remember(server: RealServer, person: bytes = OTHER) -> None:
    """A person whom a shop knows."""
    with server.client() as client:
        client.hset(keys.person_key(keys.person_tag(person)), field_name("shop"), b"profile")


def everything(server: RealServer) -> dict[bytes, Any]:
    """Every key with what it holds, as the server serialises it."""
    with server.client() as client:
        return {key: client.dump(key) for key in client.keys("*")}


def nobody(reading: Reading, *places: int) -> bool:
    """Whether these places, and no others, are told as opted out, and have nobody in them."""
    return set(reading.opted_out) == set(places) and all(reading.people[place] is None for place in places)


@pytest.mark.parametrize("imps", [0, 1], ids=["no caps", "caps"])
async def test_by_our_own_id(worker: Worker, redis_server: RealServer, imps: int) -> None:
    """A tombstone is nobody, has no views, and no mark is left beside it; the neighbours of the batch are found."""
    opt_out(redis_server)
    remember(redis_server)
    before = everything(redis_server)
    reading = await worker.read(Lookup(ME), Lookup(OTHER), imps=[imps, 0])
    assert nobody(reading, 0)
    assert reading.people[1] is not None
    assert not any(reading.exposures)
    assert everything(redis_server) == before


@pytest.mark.parametrize("imps", [0, 1], ids=["no caps", "caps"])
@pytest.mark.parametrize("matches", [("x/one",), ("x/none", "x/one"), ("x/one", "x/none")], ids=str)
async def test_by_a_row_of_the_match_table(
    worker: Worker, redis_server: RealServer, matches: Sequence[str], imps: int
) -> None:
    """A row that says opted out ends the matter, whichever of the ids it is; a mark that an unknown id was given is
    gone when the batch has ended."""
    lead(redis_server, "x/one", keys.OPTED_OUT)
    before = everything(redis_server)
    reading = await worker.read(Lookup(None, tuple(matches)), imps=[imps])
    assert nobody(reading, 0)
    worker.writer.finish(reading.exposures, HOLD_S)
    await worker.settled()
    assert everything(redis_server) == before


@pytest.mark.parametrize("imps", [0, 1], ids=["no caps", "caps"])
@pytest.mark.parametrize("to", [keys.OPTED_OUT, ME], ids=["row", "tombstone"])
@pytest.mark.parametrize("first", ["x/one", "y/two"])
async def test_one_of_several_ids_is_enough(
    worker: Worker, redis_server: RealServer, first: str, to: bytes, imps: int
) -> None:
    """Where one id opted out and another leads to somebody we know, the request is about nobody."""
    opt_out(redis_server)
    remember(redis_server)
    lead(redis_server, "x/one", to)
    lead(redis_server, "y/two", OTHER)
    before = everything(redis_server)
    matches = (first, *({"x/one", "y/two"} - {first}))
    reading = await worker.read(Lookup(None, matches), imps=[imps])
    assert nobody(reading, 0)
    worker.writer.finish(reading.exposures, HOLD_S)
    await worker.settled()
    assert everything(redis_server) == before


async def test_views_from_before_are_not_read(worker: Worker, redis_server: RealServer) -> None:
    """Views that a removal has not reached yet are not handed out."""
    await worker.hold(bid_record())
    assert [kind for kind, _, _ in await worker.records()] == [HOLD]
    opt_out(redis_server)
    reading = await worker.read(Lookup(ME))
    assert nobody(reading, 0)
    assert reading.exposures == [None]
    with redis_server.client() as client:
        assert not client.exists(keys.marks_key(TAG))


async def test_they_are_counted(worker: Worker, redis_server: RealServer, tally: Tally) -> None:
    """An operator sees how many requests are of people who opted out; they are not among those found."""
    opt_out(redis_server)
    remember(redis_server)
    lead(redis_server, "y/two", OTHER)
    lead(redis_server, "x/one", keys.OPTED_OUT)
    await worker.read(Lookup(ME), Lookup(OTHER), Lookup(None, ("y/two", "x/one")), imps=[0, 0, 0])
    assert tally.cells[tally.slot("paceline_people_opted_out_total")] == 2
    assert tally.cells[tally.slot("paceline_people_found_total")] == 1


async def test_opting_in_again(worker: Worker, redis_server: RealServer) -> None:
    """Without the tombstone the person is read as ever."""
    opt_out(redis_server)
    assert nobody(await worker.read(Lookup(ME)), 0)
    with redis_server.client() as client:
        client.delete(keys.person_key(TAG))
    remember(redis_server, ME)
    reading = await worker.read(Lookup(ME))
    assert not reading.opted_out
    assert reading.people[0] is not None
    assert reading.exposures[0] is not None


def test_no_person_is_a_row_that_opted_out() -> None:
    """The value of such a row names nobody: no tag of ours is made of it."""
    assert len(keys.OPTED_OUT) == keys.PERSON_ID_BYTES
    assert keys.OPTED_OUT != NOBODY
    assert keys.match_tag("x/one") != keys.person_tag(keys.OPTED_OUT)


# -- the whole path of a bid


def _book() -> Book:
    """One shop: a line item for anybody, and one with a cap that pays more for those who visited."""
    ad = Creative(
        id="ad",
        kind="image",
        w=300,
        h=250,
        landing_url="https://shop.example/",
        image_url="https://cdn.shop.example/a.png",
    )
    anybody = LineItem(id="anybody", goal=_cpm(2), max_bid_cpm=Decimal(20), creatives=("ad",))
    visitors = LineItem(
        id="visitors",
        goal=_cpm(9),
        max_bid_cpm=Decimal(20),
        creatives=("ad",),
        targeting=Targeting(segments=Segments(any=("visited",))),
        frequency=ItemFrequency(caps=(FrequencyCap(views=2, per="1d"),)),
    )
    campaign = Campaign(id="c", name="C", line_items=(anybody, visitors))
    shop = Advertiser(
        id="shop", name="Shop", domain="shop.example", currency="USD", creatives=(ad,), campaigns=(campaign,)
    )
    return Book(advertisers=(shop,))


def _cpm(value: int) -> Goal:
    return Goal(kind="cpm", value=Decimal(value))


class House:
    """An auction over a real store, by the system's clock."""

    def __init__(self, connection: Connection, tally: Tally) -> None:
        self.connection = connection
        self.writer = FrequencyWriter(connection, tally)
        reader = PeopleReader(connection, PATIENT, tally)
        hands = Hands(Boundless(), self.writer, HOLD_S)
        self.auction = Auction(world_of(_book()), reader, hands, tally, SystemClock())

    async def ask(self, profile: Exchange = PLAIN, **more: Any) -> tuple[float, Claim]:
        """The price of the one bid, and what its token says; when everything has been written."""
        request = {
            "id": "r",
            "tmax": 60_000,
            "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
            "site": {"domain": "news.example"},
            "device": {"geo": {"country": "USA", "zip": "90210", "lat": 34.1, "lon": -118.4}},
        }
        call = Asked(json.dumps(request | more).encode(), profile, SystemClock.monotonic_ns())
        self.auction.decide([call])
        await eventually(lambda: call.outcome is not None)
        await eventually(lambda: not self.connection.in_flight and not self.writer.kept)
        assert call.outcome is Outcome.BID
        (bid,) = call.bids
        claim = open_token((bid.burl or "").rpartition("t=")[2], RING, Audience.EXCHANGE, 0)
        assert isinstance(claim, Claim)
        return bid.price, claim


@pytest.fixture
async def house(redis_server: RealServer, connect: Connect, tally: Tally) -> House:
    """A house on a server that knows the scripts."""
    teach(redis_server)
    return House(await connect(redis_server.url), tally)


def _visited(server: RealServer, person: bytes) -> None:
    now_s = int(time.time())
    profile = Profile(now_s, np.zeros(32, np.float16), ((segment_key("shop", "visited"), now_s + 86_400),))
    with server.client() as client:
        client.hset(keys.person_key(keys.person_tag(person)), field_name("shop"), pack(profile))


BY_ID = {"user": {"buyeruid": ME.hex()}}
BY_MATCH = {"user": {"id": "u7"}}


@pytest.mark.parametrize("named", [BY_ID, BY_MATCH], ids=["own id", "match"])
async def test_who_did_not_opt_out_is_bid_for_personally(
    house: House, redis_server: RealServer, named: dict[str, Any]
) -> None:
    """The yardstick of the tests below: a visitor's price, the person in the token to be measured, and a hold."""
    _visited(redis_server, ME)
    lead(redis_server, "generic/u7", ME)
    price, claim = await house.ask(**named)
    assert (price, claim.person) == (9.0, ME)
    assert claim.measured
    with redis_server.client() as client:
        assert client.exists(keys.views_key(TAG))


@pytest.mark.parametrize("named", [BY_ID, BY_MATCH], ids=["own id", "match"])
@pytest.mark.parametrize("left", ["tombstone", "profile beside it"])
async def test_who_opted_out_is_bid_for_as_anybody(
    house: House, redis_server: RealServer, named: dict[str, Any], left: str
) -> None:
    """Anybody's price, nobody in the token, and the store holds after the bid what it held before."""
    opt_out(redis_server)
    lead(redis_server, "generic/u7", ME)
    if left != "tombstone":
        _visited(redis_server, ME)
    before = everything(redis_server)
    price, claim = await house.ask(**named)
    assert (price, claim.person, claim.flags) == (2.0, NOBODY, 0)
    assert everything(redis_server) == before


@pytest.mark.parametrize("ids", [("u7",), ("u7", "u8"), ("u8", "u7"), ("new", "u7")], ids=str)
async def test_a_row_that_opted_out_is_enough(
    house: House, redis_server: RealServer, ids: tuple[str, ...]
) -> None:
    """Whichever of a request's ids leads to an opt-out, beside known and unknown ones: anybody's bid, nothing left."""
    _visited(redis_server, OTHER)
    lead(redis_server, "eid.example/u8", OTHER)
    lead(redis_server, "eid.example/u7", keys.OPTED_OUT)
    before = everything(redis_server)
    eids = [{"source": "eid.example", "uids": [{"id": each} for each in ids]}]
    call_profile = Exchange(name="generic", eid_sources=("eid.example",))
    price, claim = await house.ask(profile=call_profile, user={"eids": eids})
    assert (price, claim.person, claim.flags) == (2.0, NOBODY, 0)
    assert everything(redis_server) == before


async def test_measuring_is_asked_for_by_itself(house: House, redis_server: RealServer) -> None:
    """A person whom the shop knows stands in the token of a line item without caps, too; where measuring is not
    allowed, the token says nothing of it."""
    with redis_server.client() as client:
        client.hset(keys.person_key(TAG), field_name("other"), b"profile")
    price, claim = await house.ask(user=BY_ID["user"])
    assert (price, claim.person, claim.measured) == (2.0, ME, True)
    price, claim = await house.ask(user=BY_ID["user"], device={"lmt": 1})
    assert (price, claim.person, claim.flags) == (2.0, NOBODY, 0)
