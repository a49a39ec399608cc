"""Which line items have a creative for a slot, and which of them a request blocks.

Place: two parts of index.py.
Shapes: sets of line items are ints, as in dimensions.py.
Limits: SLOT_CACHE slot shapes are remembered (within CACHE_BYTES); real traffic has a few hundred.
"""

from collections.abc import Callable

from bidder.campaigns.ads import Ad
from bidder.campaigns.compile import Line
from bidder.campaigns.dimensions import CACHE_BYTES, Dimension, bits, category_names, domain_names
from bidder.campaigns.terms import POSITIONS, numbered
from bidder.opportunity import BANNER, Opportunity
from openrtb.blocks import CONTENT_1
from openrtb.request import BidRequest

SLOT_CACHE = 4_096


class SlotIndex:
    """Line items by medium, size, security, position, viewability and kind of slot."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines
        self._by_size, self._by_medium = _by_creative(lines)
        self._secure = self._where(lambda line: any(ad.secure for ad in line.ads))
        self._positions = _positions(lines)
        self._has_positions = self._positions.seal()
        self._rewarded = self._either(lambda line: line.targeting.rewarded)
        self._interstitial = self._either(lambda line: line.targeting.interstitial)
        needs = sorted({need for line in lines if (need := line.targeting.viewability_min) is not None})
        self._viewability = [(need, self._where(_needs(need))) for need in needs]
        self._room = min(SLOT_CACHE, max(64, CACHE_BYTES // (len(lines) // 8 + 64)))
        self._masks: dict[tuple[object, ...], int] = {}

    def mask(self, slot: Opportunity) -> int:
        """The line items that suit a slot."""
        viewable = 0
        for need, _ in self._viewability:
            viewable += slot.viewability >= need
        key = (
            slot.media,
            slot.sizes,
            slot.secure,
            slot.position,
            slot.rewarded,
            slot.interstitial,
            viewable,
        )
        found = self._masks.get(key)
        if found is None:
            if len(self._masks) >= self._room:
                self._masks.clear()
            found = self._masks[key] = self._build(slot)
        return found

    def _build(self, slot: Opportunity) -> int:
        mask = 0
        if slot.media & BANNER:
            for size in slot.sizes:
                mask |= self._by_size.get(size, 0)
        for medium, items in self._by_medium.items():
            if slot.media & medium:
                mask |= items
        if slot.secure:
            mask &= self._secure
        if self._has_positions:
            mask &= self._positions.one(slot.position)
        mask &= self._rewarded[slot.rewarded] & self._interstitial[slot.interstitial]
        for need, items in self._viewability:
            if slot.viewability < need:
                mask ^= mask & items
        return mask

    def _where(self, holds: Callable[[Line], bool]) -> int:
        return bits(i for i, line in enumerate(self._lines) if holds(line))

    def _either(self, wish: Callable[[Line], bool | None]) -> tuple[int, int]:
        """The line items for slots that are not of a kind, and for those that are."""
        return self._where(lambda line: wish(line) is not True), self._where(
            lambda line: wish(line) is not False
        )


class BlockIndex:
    """Line items by what an exchange may block: advertiser domain, app, creative category."""

    def __init__(self, lines: list[Line]) -> None:
        self._domains = Dimension(len(lines))
        self._bundles = Dimension(len(lines))
        self._categories: dict[int, Dimension] = {}
        """By taxonomy."""
        for i, line in enumerate(lines):
            self._domains.add(i, domain_names(line.domain))
            if line.bundle:
                self._bundles.add(i, (line.bundle,))
            for taxonomy, category in set.intersection(*[ad_categories(ad) for ad in line.ads]):
                self._categories.setdefault(taxonomy, Dimension(len(lines))).add(i, (category,))

    def masks(self, request: BidRequest) -> tuple[int, int]:
        """Blocked by advertiser (badv, bapp), and by category (bcat) whichever creative is taken."""
        advertisers = categories = 0
        if request.badv:
            advertisers = self._domains.naming(map(str.lower, request.badv))
        if request.bapp:
            advertisers |= self._bundles.naming(request.bapp)
        if request.bcat:
            dimension = self._categories.get(request.cattax or CONTENT_1)
            if dimension is not None:
                categories = dimension.naming(request.bcat)
        return advertisers, categories


def ad_categories(ad: Ad) -> set[tuple[int, str]]:
    """The categories of a creative, with those that stand above them."""
    return {key for category in ad.categories for key in category_names(ad.taxonomy, category)}


def _by_creative(lines: list[Line]) -> tuple[dict[tuple[int, int], int], dict[int, int]]:
    """Line items by banner size, and by each other medium."""
    sizes: dict[tuple[int, int], list[int]] = {}
    media: dict[int, list[int]] = {}
    for i, line in enumerate(lines):
        for size in {ad.size for ad in line.ads if ad.medium == BANNER}:
            sizes.setdefault(size, []).append(i)
        for medium in {ad.medium for ad in line.ads} - {BANNER}:
            media.setdefault(medium, []).append(i)
    return {k: bits(v) for k, v in sizes.items()}, {k: bits(v) for k, v in media.items()}


def _needs(share: float) -> Callable[[Line], bool]:
    return lambda line: line.targeting.viewability_min == share


def _positions(lines: list[Line]) -> Dimension:
    dimension = Dimension(len(lines))
    terms = numbered("positions", POSITIONS)
    for i, line in enumerate(lines):
        wanted = terms(line.targeting)
        if wanted:
            dimension.add(i, *wanted)
    return dimension
