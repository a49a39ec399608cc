"""Latencies to percentiles, through an HDR histogram.

Place: load.py and bench.py hand in every value that they measured.
Units: nanoseconds in, milliseconds out.
Limits: 1 us to 1 hour, three significant digits.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Final

import numpy as np
from hdrh.histogram import HdrHistogram

_LOWEST_NS: Final = 1_000
_HIGHEST_NS: Final = 3_600 * 1_000_000_000
_DIGITS: Final = 3
PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9, 99.99, 100.0)


class Latencies:
    """An HDR histogram of one run."""

    def __init__(self, values_ns: array[int]) -> None:
        self._histogram = HdrHistogram(_LOWEST_NS, _HIGHEST_NS, _DIGITS)
        values, counts = np.unique(np.frombuffer(values_ns, np.int64) // _LOWEST_NS, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self._histogram.record_value(min(max(value * _LOWEST_NS, _LOWEST_NS), _HIGHEST_NS), count)

    def ms(self, percentile: float) -> float:
        """The latency that `percentile` per cent of the requests did not exceed; 0 without requests."""
        if not self._histogram.get_total_count():
            return 0.0
        return float(round(self._histogram.get_value_at_percentile(percentile) / 1e6, 3))

    def table(self) -> dict[str, float]:
        """The usual percentiles by name: p50, p90, p99, p999, p9999, max; and the mean."""
        named = {_name(p): self.ms(p) for p in PERCENTILES}
        mean = self._histogram.get_mean_value() if self._histogram.get_total_count() else 0.0
        return named | {"mean": round(mean / 1e6, 3)}

    def write(self, path: Path) -> None:
        """The percentile distribution as an .hgrm file, in milliseconds, for HDR plotters."""
        with path.open("wb") as file:
            self._histogram.output_percentile_distribution(file, 1e6)


def _name(percentile: float) -> str:
    return "max" if percentile == 100 else f"p{percentile:g}".replace(".", "")
