"""How often somebody asks: counts that fade with time, in memory that never grows.

Place: score.py counts ids, addresses and placements here; beacons.py counts clicks.
Shapes: a count-min sketch of DEPTH rows of `width` cells, updated conservatively. A count added at time t weighs
    2^((t - origin) / half life), so that nothing has to fade one by one: an estimate is divided by the weight of now.
    Keys are 64-bit hashes; they gather in `keys` and are counted together, 0.1 us each; one by one they would cost 0.5.
Units: counts are requests of about the last half life; a steady rate r per second counts r * half life * 1.44.
Rule: an id is abnormal where its estimate, less the sketch's own noise (e / width of all counts), is above a floor and
    above a share of everything: so crowds are never taken for one busy id, nor a quiet hour's few people for bots.
Limits: 4 bytes * DEPTH * width: 2 MB for 2^18 cells, whatever comes; GATHER keys wait to be counted.
Source: Cormode and Muthukrishnan 2005 (count-min), Estan and Varghese 2002 (conservative update), Cormode et al. 2009
    (forward decay).
Never: a key itself: keys arrive hashed under a secret of this process, and leave it with nobody.
"""

from array import array
from collections.abc import Sequence
from math import e
from typing import Final

import numpy as np
from numpy.typing import NDArray

DEPTH: Final = 2
WIDTH: Final = 1 << 18
GATHER: Final = 1_024
_RENEW: Final = 2.0**40
"""Weights beyond it are scaled down: once in forty half lives."""
_LOW: Final = np.uint64(0xFFFFFFFF)
_HIGH: Final = np.uint64(32)


class Sketch:
    """Fading counts of hashed keys."""

    def __init__(self, half_life_s: float, now_s: float, width: int = WIDTH) -> None:
        """`width` is a power of two, at most 2^32."""
        assert width.bit_count() == 1, "rows are addressed by bits of a hash"
        self._half_life_s, self._origin_s = half_life_s, now_s
        self._mask = np.uint64(width - 1)
        self._rows = (_zeros(width), _zeros(width))
        self._weight = 1.0
        self._total = 0.0

    def at(self, now_s: float) -> None:
        """It is so late now: what is added from here on weighs more than what was added before."""
        self._weight = 2.0 ** min(max(0.0, now_s - self._origin_s) / self._half_life_s, 1_000.0)
        if self._weight > _RENEW:
            for row in self._rows:
                row *= np.float32(1.0 / self._weight)
            self._total /= self._weight
            self._origin_s, self._weight = now_s, 1.0

    def add(self, keys: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Count keys, signed 64-bit numbers: each of them once, and its estimate: never too low, seldom too high."""
        unique, counts = np.unique(np.asarray(keys, np.int64), return_counts=True)
        (one, two), (first, second) = self._rows, self._places(unique)
        fresh = np.minimum(one[first], two[second]) + counts.astype(np.float32) * np.float32(self._weight)
        # float32 throughout: `at` takes six times as long where it has to convert
        np.maximum.at(one, first, fresh)
        np.maximum.at(two, second, fresh)
        self._total += len(keys) * self._weight
        return unique, fresh.astype(np.float64) / self._weight

    def of(self, keys: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
        """The estimates of keys."""
        (one, two), (first, second) = self._rows, self._places(np.asarray(keys, np.int64))
        return np.minimum(one[first], two[second]).astype(np.float64) / self._weight

    @property
    def total(self) -> float:
        """Of all counts, as they weigh now."""
        return self._total / self._weight

    @property
    def noise(self) -> float:
        """What an estimate may owe to other keys."""
        return e * self.total / len(self._rows[0])

    def _places(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each key is counted in the two rows. What hash() makes of numbers is folded once more."""
        bits = keys.view(np.uint64)
        bits = (bits ^ bits >> _HIGH) * np.uint64(0x9E3779B97F4A7C15)
        low, high = bits >> _HIGH, (bits & _LOW) * np.uint64(0xD6E8FEB86659FD93) >> _HIGH
        return (low & self._mask).astype(np.int64), (high & self._mask).astype(np.int64)


def _zeros(width: int) -> NDArray[np.float32]:
    """Written to now: pages that are first touched while bids wait cost them milliseconds."""
    return np.full(width, 0.0, np.float32)


class Alarm:
    """Who asks too often. `keys` takes what is to be counted; `flagged` holds who is abnormal."""

    __slots__ = ("flagged", "floor", "keys", "share", "sketch")

    def __init__(self, sketch: Sketch, floor: float, share: float) -> None:
        """`floor` counts within about a half life, `share` of all of them."""
        self.sketch, self.floor, self.share = sketch, floor, share
        self.keys = array("q")
        self.flagged: set[int] = set()

    def count(self, now_s: float) -> None:
        """Count what has gathered, and look again at everybody who is flagged."""
        sketch = self.sketch
        sketch.at(now_s)
        if self.keys:
            unique, estimates = sketch.add(self.keys)
            self.keys = array("q")
            if estimates.max() > self.floor:
                self.flagged.update(unique[self._abnormal(estimates)].tolist())
        if self.flagged:
            known = np.fromiter(self.flagged, np.int64)
            self.flagged.difference_update(known[~self._abnormal(sketch.of(known))].tolist())

    def _abnormal(self, estimates: NDArray[np.float64]) -> NDArray[np.bool_]:
        sketch = self.sketch
        above: NDArray[np.bool_] = estimates - sketch.noise > max(self.floor, self.share * sketch.total)
        return above


class Mixture:
    """Whose requests are suspect for the most part. `keys` takes all of them, `suspects` those that are."""

    __slots__ = ("_all", "_bad", "flagged", "floor", "keys", "share", "suspects")

    def __init__(self, sketches: tuple[Sketch, Sketch], floor: float, share: float) -> None:
        """At least `floor` counts, and of them a share of `share` suspect; `sketches`: of all, of suspects."""
        (self._all, self._bad), self.floor, self.share = sketches, floor, share
        self.keys, self.suspects = array("q"), array("q")
        self.flagged: set[int] = set()

    def count(self, now_s: float) -> None:
        """Count what has gathered."""
        self._all.at(now_s)
        self._bad.at(now_s)
        if self.suspects:
            self._bad.add(self.suspects)
            self.suspects = array("q")
        if self.keys:
            unique, estimates = self._all.add(self.keys)
            self.keys = array("q")
            if self._bad.total > 1.0:
                self.flagged.update(unique[self._mostly(unique, estimates)].tolist())
        if self.flagged:
            known = np.fromiter(self.flagged, np.int64)
            self.flagged.difference_update(known[~self._mostly(known, self._all.of(known))].tolist())

    def _mostly(self, keys: NDArray[np.int64], estimates: NDArray[np.float64]) -> NDArray[np.bool_]:
        worth = self._bad.of(keys) - self._bad.noise
        mostly: NDArray[np.bool_] = (estimates > self.floor) & (worth > self.share * estimates)
        return mostly


def steady(rate: float, half_life_s: float) -> float:
    """The count that a steady rate per second comes to."""
    return rate * half_life_s / 0.6931471805599453
