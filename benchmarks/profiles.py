"""Made-up profiles of simulated people: what a shop's servers could have said of a visitor, without any visit.

Place: benchmarks of bids write these; the demo's people have a past of visits (demo/people.py), and their taste.
Shapes: segments of a shop's line items, and an affinity vector near what the person likes.
Never: anything that tells who a person is: there is nobody.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.exchange.population import Human, interest
from bidder.audience.person import Profile
from bidder.campaigns.model import VECTOR_DIMENSIONS, Advertiser, LineItem
from bidder.keys import product_key, segment_key

SEGMENT_S: Final = 20 * 86_400
_BASE_SHARE: Final = 0.35  # how often somebody without much interest is in a segment
_TASTE: Final = 1.5  # length of the vector of somebody who likes a shop much


def profile(human: Human, shop: Advertiser, now_s: float) -> Profile:
    """What a shop knows of a visitor."""
    offered = segments_asked(shop)
    limit = _BASE_SHARE + (1 - _BASE_SHARE) * interest(human.id, shop.domain)
    chosen = [name for name in offered if _chance(human, shop, name) < limit] or offered[:1]
    until_s, seen_s = int(now_s) + SEGMENT_S, int(now_s) - 3_600
    return Profile(
        seen_s,
        taste(human, shop),
        tuple((segment_key(shop.id, name), until_s) for name in chosen),
        ((product_key(shop.id, f"product-{human.number % 97}"), seen_s),),
    )


def segments_asked(shop: Advertiser) -> list[str]:
    """The segments that line items ask for."""
    lines = lines_of(shop)
    return sorted({name for line in lines if line.targeting.segments for name in line.targeting.segments.any})


def taste(human: Human, shop: Advertiser) -> NDArray[np.float16]:
    """A mix of the vectors of the line items, by the person's taste, as long as their interest."""
    vector = np.zeros(VECTOR_DIMENSIONS)
    for line in lines_of(shop):
        weight = _chance(human, shop, line.id) - 0.3
        vector[: len(line.vector)] += weight * np.asarray(line.vector)
    length = float(np.linalg.norm(vector))
    longer = _TASTE * interest(human.id, shop.domain) / length if length else 0.0
    return (vector * longer).astype(np.float16)


def lines_of(shop: Advertiser) -> list[LineItem]:
    """All line items of an advertiser."""
    return [line for campaign in shop.campaigns for line in campaign.line_items]


def _chance(human: Human, shop: Advertiser, name: str) -> float:
    """A number from 0 to 1 that is always the same for a person and a name."""
    digest = hashlib.blake2b(f"{human.id}:{shop.id}:{name}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / (1 << 48)
