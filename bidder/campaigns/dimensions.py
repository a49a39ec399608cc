"""One targeting dimension compiled: from a value of a request to the set of line items that accept it.

Place: index.py owns one per dimension that some line item uses; a set of line items is a Python int, bit i
    standing for line item i (an AND of 10,000 bits costs 0.1 us, of 100,000 bits 0.45 us).
Limits: masks of values are made at first use and kept within CACHE_BYTES per dimension; a value that no line
    item names is never kept, so a stream of unseen values costs no memory.
"""

import math
from collections.abc import Iterable
from functools import lru_cache

from openrtb.blocks import CONTENT_1

CACHE_BYTES = 32 * 1024 * 1024
CATEGORIES_CACHE = 4_096
"""Categories whose keys are remembered: every taxonomy together has some 2,000."""
MAX_NAMES = 8
_KM_PER_DEGREE = 111.19  # a little less than it is, so that no cell is left out
_POLAR = 89.0


class Dimension:
    """Line items by the value that they want or refuse.

    Nothing included means anything goes; an unknown value ("" or absent) satisfies no `include`.
    """

    def __init__(self, count: int) -> None:
        self._everything = (1 << count) - 1
        self._bound: list[int] = []
        self._named: dict[object, tuple[list[int], list[int]]] = {}
        """By value: the line items that want it, and those that refuse it."""
        self._masks: dict[object, tuple[int, int]] = {}
        """The same as masks, of the values that were asked for."""
        self._room = max(64, CACHE_BYTES // (count // 4 + 128))
        self.default = self._everything
        """The line items that accept a value which none of them names."""

    def add(self, item: int, include: Iterable[object], exclude: Iterable[object] = ()) -> None:
        """Bind a line item; an empty `include` leaves it open."""
        wanted = tuple(include)
        if wanted:
            self._bound.append(item)
        for value in wanted:
            self._named.setdefault(value, ([], []))[0].append(item)
        for value in exclude:
            self._named.setdefault(value, ([], []))[1].append(item)

    def seal(self) -> bool:
        """End the adding; returns whether any line item targets by it."""
        self.default = self._everything ^ bits(self._bound)
        return bool(self._named)

    def one(self, value: object) -> int:
        """The line items that accept a single value."""
        if value not in self._named:
            return self.default
        wanted, refused = self._masks.get(value) or self._build(value)
        mask = self.default | wanted
        return mask ^ (mask & refused) if refused else mask

    def many(self, values: Iterable[object]) -> int:
        """The line items that accept a value given by several names (a domain and its parents, categories)."""
        mask, refused = self.default, 0
        named = self._named
        for value in values:
            if value in named:
                wants, refuses = self._masks.get(value) or self._build(value)
                mask |= wants
                refused |= refuses
        return mask ^ (mask & refused) if refused else mask

    def naming(self, values: Iterable[object]) -> int:
        """The line items that want any of some values; open ones are not among them."""
        mask = 0
        named = self._named
        for value in values:
            if value in named:
                mask |= (self._masks.get(value) or self._build(value))[0]
        return mask

    def _build(self, value: object) -> tuple[int, int]:
        wanted, refused = self._named[value]
        if len(self._masks) >= self._room:
            self._masks.clear()
        masks = self._masks[value] = bits(wanted), bits(refused)
        return masks


class Circles:
    """Line items by distance from a place, found through a grid of one degree."""

    def __init__(self, count: int) -> None:
        self._everything = (1 << count) - 1
        self._bound: list[int] = []
        self._free = self._everything
        self._cells: dict[tuple[int, int], list[tuple[float, float, float, int]]] = {}

    def seal(self) -> bool:
        """End the adding; returns whether any line item targets by it."""
        self._free = self._everything ^ bits(self._bound)
        return bool(self._bound)

    def add(self, item: int, circles: Iterable[tuple[float, float, float]]) -> None:
        """Bind a line item to circles of (latitude, longitude, radius_km)."""
        for lat, lon, radius_km in circles:
            self._bound.append(item)
            for cell in _cells_around(lat, lon, radius_km):
                self._cells.setdefault(cell, []).append((lat, lon, radius_km, item))

    def at(self, place: tuple[float, float] | None) -> int:
        """The line items whose circle holds the place; those without circles always."""
        mask = self._free
        if place is None:
            return mask
        cell = (math.floor(place[0]), (math.floor(place[1]) + 180) % 360 - 180)
        for lat, lon, radius_km, item in self._cells.get(cell, ()):
            if distance_km(place, (lat, lon)) <= radius_km:
                mask |= 1 << item
        return mask


def bits(items: Iterable[int]) -> int:
    """The mask of some line items."""
    items = tuple(items)
    if not items:
        return 0
    buffer = bytearray((max(items) >> 3) + 1)
    for item in items:
        buffer[item >> 3] |= 1 << (item & 7)
    return int.from_bytes(buffer, "little")


def distance_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Great-circle distance of two places in degrees (haversine, sphere of 6371 km)."""
    lat_a, lat_b = math.radians(a[0]), math.radians(b[0])
    half_lat = math.sin((lat_b - lat_a) / 2) ** 2
    half_lon = math.sin(math.radians(b[1] - a[1]) / 2) ** 2
    return 12_742 * math.asin(min(1.0, math.sqrt(half_lat + math.cos(lat_a) * math.cos(lat_b) * half_lon)))


def domain_names(domain: str) -> list[str]:
    """A domain and its parents down to two labels, at most MAX_NAMES: shop.a.example -> shop.a.example, a.example."""
    names = [domain]
    above = domain.count(".") - 1
    for _ in range(min(above, MAX_NAMES - 1)):
        domain = domain.partition(".")[2]
        names.append(domain)
    return names


@lru_cache(CATEGORIES_CACHE)
def category_names(taxonomy: int, category: str) -> tuple[tuple[int, str], ...]:
    """A category as keys; in taxonomy 1, IAB7-39 is also found under IAB7."""
    if taxonomy == CONTENT_1 and "-" in category:
        return (taxonomy, category), (taxonomy, category.partition("-")[0])
    return ((taxonomy, category),)


def _cells_around(lat: float, lon: float, radius_km: float) -> Iterable[tuple[int, int]]:
    reach = radius_km / _KM_PER_DEGREE
    highest = abs(lat) + reach
    if highest < _POLAR:
        sides = reach / math.cos(math.radians(highest))
        columns = range(math.floor(lon - sides), math.floor(lon + sides) + 1)
    else:  # around a pole all meridians are near
        columns = range(-180, 180)
    for row in range(math.floor(lat - reach), math.floor(lat + reach) + 1):
        for column in columns:
            yield row, (column + 180) % 360 - 180
