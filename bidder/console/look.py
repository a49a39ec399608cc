"""One moment of a service beside those before it: what was counted in the last seconds.

Place: state.py and rules.py ask it.
Units: rates per second; windows in seconds.
Never: I/O, a clock.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from bidder.console.totals import ALL, Sums, Totals, buckets_since, quantile, since
from bidder.metrics import Metric

FAST_S: Final = 5.0
"""Over so long rates of traffic are taken."""
QUANTILES_S: Final = 15.0
WINDOW_S: Final = 60.0
"""Over so long reasons are counted, and what is wrong."""
_MS: Final = 1_000.0


class Look:
    """One moment beside those before it."""

    def __init__(self, now: Totals, seen: Sequence[Totals], catalogue: Mapping[str, Metric]) -> None:
        """`seen` are earlier ones, the oldest first; where none is within a window, it reaches back to the last."""
        self.now, self._catalogue = now, catalogue
        before = seen[-1] if seen else now
        self._then = {
            window_s: next((t for t in seen if t.at_s >= now.at_s - window_s - 0.5), before)
            for window_s in (FAST_S, QUANTILES_S, WINDOW_S)
        }

    def reach_s(self, window_s: float) -> float:
        """How far a window really reaches back: to the earliest look within it."""
        return self.now.at_s - self._then[window_s].at_s

    def remembers(self, window_s: float) -> bool:
        """Whether a whole window was looked at, so that what did not happen in it did not happen."""
        return self.reach_s(window_s) >= window_s - 2.0

    def counted(self, name: str, window_s: float) -> Sums:
        """What a counter counted in a window, by its label."""
        return since(self.now.counters[name], self._then[window_s].counters[name])

    def rates(self, name: str, window_s: float = FAST_S) -> Sums:
        """The same per second; nothing before there are two looks."""
        passed_s = self.reach_s(window_s)
        return (
            {key: count / passed_s for key, count in self.counted(name, window_s).items()} if passed_s else {}
        )

    def rate(self, name: str, window_s: float = FAST_S) -> float:
        """Of all labels together."""
        return sum(self.rates(name, window_s).values())

    def buckets(self, name: str, key: str = ALL) -> list[float]:
        """A histogram of the last QUANTILES_S; ends with the sum."""
        now = self.now.histograms[name].get(key, [])
        return buckets_since(now, self._then[QUANTILES_S].histograms[name].get(key, []))

    def quantile_ms(self, name: str, share: float, key: str = ALL) -> float | None:
        """In milliseconds."""
        counts, metric = self.buckets(name, key), self._catalogue.get(name)
        found = quantile(share, metric, counts) if metric and counts else None
        return None if found is None else round(found * _MS, 3)

    def mean_ms(self, name: str, key: str) -> float | None:
        """In milliseconds."""
        counts = self.buckets(name, key)
        total, metric = sum(counts[:-1]), self._catalogue.get(name)
        return round(counts[-1] / total * _MS, 4) if total and metric else None

    def age_s(self, name: str) -> float | None:
        """Since the moment that a gauge tells."""
        moment = self.now.most(name)
        return max(0.0, self.now.at_s - moment) if moment else None
