"""One load of a site with the yardstick around it, and what the fit needs of it.

Place: capacity.py measures with it, capacity_check.py checks; fleet.py opens sites, too.
Units: microseconds of CPU, requests per second.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.capacity_fit import Row
from benchmarks.capacity_site import Reading, Site, Size
from bidder.yardstick import Yardstick

YARD_TURNS: Final = 2_000


def measured(
    site: Site, yardstick: Yardstick, reference_us: float, load: tuple[float | None, int, float]
) -> tuple[Reading, float, float]:
    """One load: (what was read, answers per second, yardstick around it to the reference)."""
    before_us = yardstick.read(YARD_TURNS)
    reading, result = site.load(*load)
    after_us = yardstick.read(YARD_TURNS)
    return reading, result.rate, (before_us + after_us) / 2 / reference_us


def row_of(site: Site, reading: Reading, rate: float, speed: float, open_loop: bool) -> Row:
    """What the fit needs of a load."""
    asked = max(1, reading.total("people_asked_total"))
    worker_us = reading.per_request("worker")
    return Row(
        site.size.line_items,
        open_loop,
        rate,
        reading.batch,
        worker_us,
        reading.cpu_us["people"] / asked,
        asked / max(1, reading.counts["batches"]),
        rate * worker_us / 1e6,
        speed,
    )


class opened:
    """A site in a folder of its own, for a block."""

    def __init__(self, size: Size) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="paceline-capacity-")
        self._site = Site(Path(self._folder.name), size)

    async def __aenter__(self) -> Site:
        say(f"starting a service with {self._site.size.line_items:,} line items")
        try:
            await self._site.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self._site

    async def __aexit__(self, *_: object) -> None:
        await self._site.close()
        self._folder.cleanup()


def say(text: str) -> None:
    """A line for the person at the terminal."""
    print(f"  {text}", file=sys.stderr, flush=True)


def short(value: Any) -> Any:
    """Four digits are more than a measurement is good for."""
    return float(f"{value:.4g}") if isinstance(value, float) else value
