"""The people who visited the shops before the run, written into the store: what they did, and what follows from it.

Place: session.py seeds before the first request; the exchanges draw the same people from the same seed.
Shapes: `past_of` lets them visit a store in memory, by the service's own code for events; `write` copies what came of
    it into the server, key by key, each with its time to live, and the matches of those whom exchanges know by their
    own id alone.
Rule: whoever did not agree is not in it.
Never: anything that tells who a person is: there is nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from benchmarks.exchange.dialects import DIALECTS
from benchmarks.exchange.population import Human, Population
from benchmarks.exchange.shelves import Act, Shop, past, was_there
from benchmarks.profiles import SEGMENT_S, segments_asked, taste
from bidder.audience.known import Seen, ShopRules
from bidder.audience.person import field_name, pack, unpack
from bidder.audience.segments import compile_rules
from bidder.audience.visit import KINDS, Visit
from bidder.campaigns.model import Advertiser
from bidder.keys import category_key, name_key, product_key, segment_key
from bidder.settings import Stores
from bidder.stores.keys import person_key, person_tag
from bidder.stores.memory_visitors import MemoryVisitorStore
from bidder.stores.people_writer import PeopleWriter, open_client

KEYS_PER_PIPELINE: Final = 500


class Past:
    """What was before the run."""

    def __init__(self, store: MemoryVisitorStore, humans: list[Human]) -> None:
        self.store, self.humans = store, humans

    @property
    def ids(self) -> set[str]:
        """Of the people who are known."""
        return {human.id for human in self.humans}


async def seed_people(url: str, shops: tuple[Shop, ...], people: Population, now_s: float) -> Past:
    """Put everybody who visited into the server. Raises redis.RedisError."""
    past = await past_of(shops, people, now_s)
    await write(url, past, now_s)
    return past


async def past_of(shops: tuple[Shop, ...], people: Population, now_s: float) -> Past:
    """Everybody's visits so far."""
    store, known = MemoryVisitorStore(), []
    rules = [(shop, ShopRules(shop.id, compile_rules(shop.advertiser))) for shop in shops]
    for human in (people[number] for number in range(len(people))):
        visited = [pair for pair in rules if was_there(human, pair[0])]
        for shop, compiled in visited:
            await store.observe(bytes.fromhex(human.id), compiled, seen_by(human, shop, now_s), int(now_s))
            _add_segments(store, human, shop, now_s)
        if visited:
            known.append(human)
    return Past(store, known)


async def write(redis_url: str, past: Past, now_s: float) -> None:
    """Copy it into the server. Raises redis.RedisError."""
    client = open_client(Stores(redis_url=redis_url))
    try:
        store = past.store
        pipeline: Any = client.pipeline(transaction=False)
        keys = [*store.hashes, *store.counts]
        for number, key in enumerate(keys, 1):
            if key in store.hashes:
                pipeline.hset(key, mapping=store.hashes[key])
            else:
                pipeline.pfadd(key, *store.counts[key])
            pipeline.expire(key, store.ttl_s[key])
            if number % KEYS_PER_PIPELINE == 0 or number == len(keys):
                await pipeline.execute()
        await PeopleWriter(client).match_many(_matches(past.humans), now_s)
    finally:
        await client.aclose()


def _matches(humans: list[Human]) -> Iterator[tuple[str, str, bytes]]:
    for human in humans:
        if not human.matched and not human.anonymous:
            person = bytes.fromhex(human.id)
            yield from ((dialect.name, human.id_at(dialect.name), person) for dialect in DIALECTS)
            if human.device.kind != "web":
                yield "ifa", human.ifa, person


def seen_by(human: Human, shop: Shop, now_s: float) -> list[Seen]:
    """Somebody's past visits to a shop, as the service would have kept them."""
    liked = taste(human, shop.advertiser)
    return [
        Seen(_visit(shop.advertiser, act, int(now_s - age_s), number), liked if act.product else None)
        for number, (age_s, act) in enumerate(past(human, shop))
    ]


def _visit(advertiser: Advertiser, act: Act, at_s: int, number: int) -> Visit:
    owner, product = advertiser.id, act.product
    return Visit(
        KINDS[act.event],
        at_s,
        product=product_key(owner, product.id) if product else 0,
        category=category_key(owner, product.category) if product else 0,
        value_micros=product.price_micros if product and act.event == "purchase" else 0,
        event=name_key(owner, f"{at_s}-{number}"),
        order=name_key(owner, act.order),
    )


def _add_segments(store: MemoryVisitorStore, human: Human, shop: Shop, now_s: float) -> None:
    """Segments that line items ask for and no definition makes: the shop's own servers would have said so."""
    defined = {segment.id for segment in shop.advertiser.segments}
    asked = set(segments_asked(shop.advertiser))
    fields = store.hashes.get(person_key(person_tag(bytes.fromhex(human.id))), {})
    field = field_name(shop.id)
    profile = unpack(fields[field]) if asked - defined and field in fields else None
    if profile is not None:
        until_s = int(now_s) + SEGMENT_S
        more = tuple([(segment_key(shop.id, name), until_s) for name in sorted(asked - defined)])
        fields[field] = pack(replace(profile, segments=(*profile.segments, *more)))
