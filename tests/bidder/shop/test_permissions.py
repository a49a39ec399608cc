"""Properties: people are read and written only where the gate says so, and what one shop is told stays that shop's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bidder.audience.person import field_name
from bidder.campaigns.rates import load_rates
from bidder.clock import ManualClock
from bidder.metrics import Tally
from bidder.privacy.gate import Gate
from bidder.shop.calls import Call
from bidder.shop.hands import Hands
from bidder.shop.matches import Matches
from bidder.shop.receive import Shops
from bidder.shop.syncs import Syncs
from bidder.stores import keys
from bidder.stores.memory_visitors import MemoryVisitorStore
from bidder.stores.people_writer import Matched
from tests.bidder.privacy.signals import GARBAGE, VENDOR, string, tc_strings
from tests.bidder.shop.support import CONSENT, EXCHANGES, HANDLES, NOW_S, SHOPS, Kept, Shelves

OWN = bytes(range(16))
GATE = Gate(VENDOR)
RATES = load_rates()


class Observed(msgspec.Struct):
    kept: int = 1
    repeated: int = 0
    opted_out: bool = False
    lost: int = 0


class Witness:
    """Stores that keep nothing and remember that they were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def observe(self, *_: Any) -> Observed:
        self.asked.append("observe")
        return Observed()

    async def join(self, *_: Any) -> None:
        self.asked.append("join")

    async def erased(self, *_: Any) -> bool:
        self.asked.append("erased")
        return False

    async def resolve(self, matches: Sequence[str]) -> bytes | None:
        self.asked.append("resolve")
        return None

    async def traced(self, matches: Sequence[str]) -> tuple[bytes | None, int]:
        self.asked.append("traced")
        return None, -1

    async def lives(self, *_: Any) -> bool:
        self.asked.append("lives")
        return True

    async def match(self, *_: Any) -> Matched:
        self.asked.append("match")
        return Matched.DONE

    async def opted_out(self, *_: Any) -> bool:
        self.asked.append("opted_out")
        return False

    async def take(self, *_: Any) -> list[str]:
        self.asked.append("take")
        return []


class House:
    """Shops, syncs and uploads over a witness."""

    def __init__(self) -> None:
        self.witness, self.recorder, clock, tally = Witness(), Kept(), ManualClock(NOW_S), Tally()
        hands = Hands(self.witness, self.witness, self.recorder, Shelves(), HANDLES)
        self.shops = Shops(hands, GATE, tally, clock)
        self.shops.adopt(SHOPS, RATES)
        self.syncs = Syncs(EXCHANGES, hands, self.witness, GATE, tally, clock)
        self.matches = Matches(self.witness, HANDLES, GATE, tally, clock)


QUERY = st.fixed_dictionaries(
    {},
    optional={
        "gdpr": st.sampled_from(["", "0", "1", "x"]),
        "gdpr_consent": st.sampled_from([CONSENT, string(1), string(1, 3), string(3, 4), "", *GARBAGE])
        | tc_strings(),
        "gpp": st.sampled_from(["", "DBAA", "junk"]),
        "gpp_sid": st.sampled_from(["", "6", "7", "-1", "x"]),
        "us_privacy": st.sampled_from(["", "1---", "1YNN", "1YYN", "1"]),
        "gpc": st.sampled_from(["", "0", "1"]),
        "coppa": st.sampled_from(["", "0", "1"]),
    },
)
HEADERS = st.fixed_dictionaries({}, optional={"sec-gpc": st.just("1"), "dnt": st.sampled_from(["0", "1"])})
COOKIES = st.fixed_dictionaries({}, optional={"pl_id": st.just(OWN.hex()), "pl_optout": st.just("1")})
ADVERTISERS = st.sampled_from(["boots", "hats", "toys"])


@given(QUERY, HEADERS, COOKIES, ADVERTISERS)
def test_a_browsers_person_is_touched_only_where_the_table_says_so(
    query: dict[str, str], headers: dict[str, str], cookies: dict[str, str], advertiser: str
) -> None:
    """Of every mixture: no store is asked, no record has a person and no id is set without its permission."""
    house = House()
    pairs = [
        ("advertiser", advertiser),
        ("event", "product_view"),
        ("product", "a"),
        ("fp", "f" * 32),
        *query.items(),
    ]
    call = Call(
        pairs,
        {**headers, "origin": "https://shop.test" if advertiser != "hats" else "https://hats.test"},
        cookies,
    )
    shop = house.shops.advertiser(advertiser)
    assert shop is not None
    allowed = GATE.permit(call.signals(shop.country), NOW_S)
    out = "pl_optout" in cookies or shop.child_directed
    answer = asyncio.run(house.shops.pixel(call))
    assert bool(house.witness.asked) == (allowed.record and not out)
    assert all(bool(record.person) == (allowed.record and not out) for record in house.recorder.records)
    if shop.child_directed or allowed.child:
        assert house.recorder.records == []
    sets = [cookie for cookie in answer.cookies if cookie.startswith("pl_") and "Max-Age=0" not in cookie]
    assert bool(sets) == (allowed.write_id and not out)
    house.witness.asked.clear()
    asyncio.run(
        house.syncs.offered(
            house.shops, Call([("advertiser", advertiser), *query.items()], call.headers, cookies)
        )
    )
    asked = allowed.sync and allowed.read_id and not out and "pl_id" in cookies
    assert bool(house.witness.asked) == asked


@given(QUERY, HEADERS, COOKIES)
def test_an_exchanges_id_is_touched_only_where_the_table_says_so(
    query: dict[str, str], headers: dict[str, str], cookies: dict[str, str]
) -> None:
    """A sync that the table does not allow asks no store, sets no cookie and leads nowhere."""
    house = House()
    call = Call([("uid", "u"), *query.items()], headers, cookies)
    allowed = GATE.permit(call.signals(""), NOW_S)
    answer = asyncio.run(house.syncs.sync("google", call))
    told = any(query.get(name) for name in ("gdpr", "gdpr_consent", "gpp", "gpp_sid", "us_privacy"))
    permitted = told and allowed.sync and allowed.write_id and "pl_optout" not in cookies
    assert bool(house.witness.asked) == permitted
    if not permitted:
        assert answer.location == ""
        assert not [cookie for cookie in answer.cookies if "Max-Age=0" not in cookie]


@given(QUERY, ADVERTISERS, st.booleans())
def test_a_servers_person_is_touched_only_where_the_table_says_so(
    query: dict[str, str], advertiser: str, limited: bool
) -> None:
    """The same of batches and uploads, by the consent that each event and each line tells."""
    house = House()
    consent: dict[str, Any] = dict(query)
    for flag in ("gdpr", "gpc", "coppa"):
        if flag in consent:
            consent[flag] = {"": None if flag == "gdpr" else 0, "0": 0}.get(consent[flag], 1)
    person = {
        "fp": "f" * 32,
        "ifa": "6d92078a-8246-4ba4-ae5b-76104861e7dc",
        "login": "ab" * 32,
        "lmt": int(limited),
    }
    event = {"event": "cart", "id": "e", "person": person, "consent": consent}
    shop = house.shops.advertiser(advertiser)
    assert shop is not None
    allowed = GATE.permit(Call(list(query.items()), {}, {}).signals(shop.country), NOW_S)
    asyncio.run(house.shops.batch(advertiser, msgspec.json.encode({"events": [event]})))
    permitted = allowed.record and not limited and not shop.child_directed
    assert bool(house.witness.asked) == permitted
    assert all(bool(record.person) == permitted for record in house.recorder.records)
    house.witness.asked.clear()
    told = {name: value for name, value in consent.items() if name not in ("gpc", "coppa")}
    allowed = GATE.permit(Call([(n, v) for n, v in query.items() if n in told], {}, {}).signals(""), NOW_S)
    asyncio.run(house.matches.upload("google", msgspec.json.encode({"uid": "u", "id": OWN.hex(), **told})))
    assert bool(house.witness.asked) == (allowed.sync and allowed.write_id)


class Rows:
    """A match table over the store in memory."""

    def __init__(self, store: MemoryVisitorStore) -> None:
        self.store = store

    async def match(
        self, source: str, uid: str, person_id: bytes, now_s: float, ttl_s: float = 0.0
    ) -> Matched:
        self.store.values[keys.match_key(keys.match_tag(f"{source}/{uid}"))] = person_id
        return Matched.DONE

    async def opted_out(self, person_id: bytes) -> bool:
        return False


ACTS = st.tuples(
    st.sampled_from(["boots", "hats"]),
    st.sampled_from(["product_view", "cart", "purchase"]),
    st.sampled_from(["a", "b", "boot-1"]),
    st.sampled_from(["", "f" * 32]),
)


def _lived(acts: Sequence[tuple[str, str, str, str]]) -> MemoryVisitorStore:
    """The store after these events of one browser."""
    store = MemoryVisitorStore()
    clock = ManualClock(NOW_S)
    shops = Shops(Hands(store, Rows(store), Kept(), Shelves(), HANDLES), GATE, Tally(), clock)
    shops.adopt(SHOPS, RATES)

    async def live() -> None:
        for number, (advertiser, event, product, fp) in enumerate(acts):
            query = [("advertiser", advertiser), ("event", event), ("product", product), ("id", f"{number}")]
            query += [("gdpr", "1"), ("gdpr_consent", CONSENT), ("fp", fp)]
            await shops.pixel(Call(query, {}, {"pl_id": OWN.hex()}))

    asyncio.run(live())
    return store


@settings(max_examples=50)
@given(st.lists(ACTS, max_size=8))
def test_what_one_shop_is_told_changes_nothing_of_another(acts: list[tuple[str, str, str, str]]) -> None:
    """The fields of a shop are the same whether the person was in the other shop, too, or not."""
    numbered = list(acts)
    both = _lived(numbered)
    for own in ("boots", "hats"):
        alone = _lived([act if act[0] == own else ("toys", *act[1:]) for act in numbered])
        for key in (keys.person_key(keys.person_tag(OWN)), keys.history_key(keys.person_tag(OWN))):
            assert both.hashes.get(key, {}).get(field_name(own)) == alone.hashes.get(key, {}).get(
                field_name(own)
            )
