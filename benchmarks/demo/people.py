"""The simulated people as the shops know them, written into the store: who visited, what they liked.

Place: session.py seeds before the first request; the exchanges draw the same people from the same seed.
Shapes: a visitor has, per shop, segments of its line items and an affinity vector near what they liked.
Never: anything that tells who a person is: there is nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.exchange.dialects import DIALECTS
from benchmarks.exchange.population import Human, Population, interest
from bidder.audience.person import Profile
from bidder.campaigns.model import VECTOR_DIMENSIONS, Advertiser, Book, LineItem
from bidder.config import Stores
from bidder.keys import product_key, segment_key
from bidder.stores.people_writer import PeopleWriter, open_client

_SEGMENT_S = 20 * 86_400
_BASE_SHARE = 0.35  # how often somebody without much interest is in a segment
_TASTE = 1.5  # length of the vector of somebody who likes a shop much


async def seed_people(redis_url: str, book: Book, people: Population, now_s: float) -> int:
    """Write every person who visited a shop, and the matches of those whom exchanges know by their own id
    alone. Returns how many people; raises redis.RedisError."""
    client = open_client(Stores(redis_url=redis_url))
    try:
        writer = PeopleWriter(client)
        saved = await writer.save_many(_known(book, people, now_s), now_s)
        await writer.match_many(_matches(people), now_s)
        return saved
    finally:
        await client.aclose()


def _known(book: Book, people: Population, now_s: float) -> Iterator[tuple[bytes, dict[str, Profile]]]:
    for number in range(len(people)):
        human = people[number]
        profiles = {shop.id: profile(human, shop, now_s) for shop in book.advertisers if likes(human, shop)}
        if profiles:
            yield bytes.fromhex(human.id), profiles


def _matches(people: Population) -> Iterator[tuple[str, str, bytes]]:
    for number in range(len(people)):
        human = people[number]
        if not human.matched:
            person = bytes.fromhex(human.id)
            yield from ((dialect.name, human.id_at(dialect.name), person) for dialect in DIALECTS)
            yield "ifa", human.ifa, person


def likes(human: Human, shop: Advertiser) -> float:
    """A person's interest in a shop, 0 to 1."""
    return interest(human.id, shop.domain)


def profile(human: Human, shop: Advertiser, now_s: float) -> Profile:
    """What a shop knows of a visitor."""
    liking = likes(human, shop)
    lines = [line for campaign in shop.campaigns for line in campaign.line_items]
    offered = sorted(
        {name for line in lines if line.targeting.segments for name in line.targeting.segments.any}
    )
    limit = _BASE_SHARE + (1 - _BASE_SHARE) * liking
    chosen = [name for name in offered if _chance(human, shop, name) < limit] or offered[:1]
    until_s, seen_s = int(now_s) + _SEGMENT_S, int(now_s) - 3_600
    return Profile(
        seen_s,
        _affinity(human, shop, lines, liking),
        tuple((segment_key(shop.id, name), until_s) for name in chosen),
        ((product_key(shop.id, f"product-{human.number % 97}"), seen_s),),
    )


def _affinity(human: Human, shop: Advertiser, lines: list[LineItem], liking: float) -> NDArray[np.float16]:
    """A mix of the vectors of the line items, by the person's taste, as long as their interest."""
    vector = np.zeros(VECTOR_DIMENSIONS)
    for line in lines:
        weight = _chance(human, shop, line.id) - 0.3
        vector[: len(line.vector)] += weight * np.asarray(line.vector)
    length = float(np.linalg.norm(vector))
    return (vector * (_TASTE * liking / length) if length else vector).astype(np.float16)


def _chance(human: Human, shop: Advertiser, name: str) -> float:
    """A number from 0 to 1 that is always the same for a person and a name."""
    digest = hashlib.blake2b(f"{human.id}:{shop.id}:{name}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / (1 << 48)
