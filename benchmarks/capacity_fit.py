"""From rounds of load to the constants of the capacity model: least squares on what was read.

Place: capacity.py hands in what it measured on each size; nothing is measured here.
Shapes: a Row is one short load on one site. A site's constants are those of bidder.capacity that depend on line items.
Units: CPU in microseconds of the machine as it was in that minute; `speed` is its yardstick to that of the whole run,
    by which every cost is divided.
Source: cost per request = request + (tick + idle * slept) / batch; errors count as shares of the cost, so that the
    dear single requests do not outweigh the cheap ones of full batches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

import numpy as np
from msgspec import Struct

_NEWTON: Final = 60
_BATCHED: Final = 1.1
"""Batches below tell nothing of how long requests gather."""


class Row(Struct, frozen=True):
    """One load."""

    line_items: int
    open_loop: bool
    rate: float
    """Answered per second."""
    batch: float
    worker_us: float
    """Per request."""
    people_us: float
    """Of the people's store, per request that asked it."""
    asked_batch: float
    """Such requests per batch."""
    cores: float
    """Of the worker."""
    speed: float
    """Yardstick of the minute to that of the run: above 1 the machine was slower."""


class Part(Struct, frozen=True):
    """What was measured of one size beside its rows."""

    line_items: int
    worker_mb: float
    helpers_mb: float
    helpers_cores: float
    lease_us: float
    person_bytes: float
    speed: float


class Wires(Struct, frozen=True):
    """Bytes, from counters, and what notices and charges take."""

    request_bytes: float
    answer_bytes: float
    person_read_bytes: float
    notice_us: float
    charge_us: float
    charge_bytes: float
    journal_bytes: float


def constants(
    rows: Sequence[Row], parts: Sequence[Part], wires: Wires, yardstick_us: float
) -> dict[str, Any]:
    """Everything as bidder.capacity.Constants holds it, rounded to what the measurement is good for."""
    sizes = sorted({row.line_items for row in rows})
    request_us, tick_us, idle_us = worker(rows, sizes)
    people_us, people_tick_us = people(rows)
    by_size = {part.line_items: part for part in parts}

    def table(name: str, normal: bool = False) -> list[tuple[int, float]]:
        values = [getattr(by_size[n], name) / (by_size[n].speed if normal else 1.0) for n in sizes]
        return _rising(sizes, values)

    return {
        "yardstick_us": round(yardstick_us, 3),
        "request_us": _rising(sizes, request_us),
        "tick_us": _rising(sizes, tick_us),
        "idle_us": round(idle_us, 1),
        "gather_us": round(gather(rows), 1),
        "worker_mb": table("worker_mb"),
        "helpers_mb": table("helpers_mb"),
        "helpers_cores": table("helpers_cores", normal=True),
        "people_tick_us": round(people_tick_us, 1),
        "people_request_us": round(people_us, 1),
        "lease_us": table("lease_us", normal=True),
        "person_bytes": round(median(part.person_bytes for part in parts), 1),
        **{name: round(getattr(wires, name), 1) for name in wires.__struct_fields__},
    }


def worker(rows: Sequence[Row], sizes: Sequence[int]) -> tuple[list[float], list[float], float]:
    """(request_us by size, tick_us by size, idle_us); all of them at least 0."""
    width, at = len(sizes), {size: place for place, size in enumerate(sizes)}
    design, wanted = np.zeros((len(rows), 2 * width + 1)), np.zeros(len(rows))
    for number, row in enumerate(rows):
        cost_us = row.worker_us / row.speed
        place, slept = at[row.line_items], max(0.0, 1 - row.cores)
        design[number, place] = 1 / cost_us
        design[number, width + place] = 1 / row.batch / cost_us
        design[number, 2 * width] = slept / row.batch / cost_us
        wanted[number] = 1.0
    found = not_negative(design, wanted)
    return found[:width].tolist(), found[width : 2 * width].tolist(), float(found[-1])


def people(rows: Sequence[Row]) -> tuple[float, float]:
    """(CPU of the store per request that asks, per batch that asks)."""
    asked = [row for row in rows if row.asked_batch > 0 and row.people_us > 0]
    cost_us = np.array([row.people_us / row.speed for row in asked])
    batches = np.array([1 / max(1.0, row.asked_batch) for row in asked])
    design = np.stack([1 / cost_us, batches / cost_us], axis=1)
    found = not_negative(design, np.ones(len(asked)))
    return float(found[0]), float(found[1])


def gather(rows: Sequence[Row]) -> float:
    """How long requests join a batch beside its CPU: what the batches of open loops say, in the median."""
    found = []
    for row in rows:
        if row.open_loop and row.batch > _BATCHED and row.cores < 0.9:
            window_us = arrivals(row.batch) / row.rate * 1e6
            found.append((window_us - row.worker_us * row.batch) / row.speed)
    return max(0.0, median(found)) if found else 0.0


def arrivals(batch: float) -> float:
    """The mean of the Poisson arrivals that make batches so large: solves a + exp(-a) = batch."""
    found = max(batch, 1e-6)
    for _ in range(_NEWTON):
        slope = 1 - math.exp(-found)
        found = max(1e-9, found - (found + math.exp(-found) - batch) / max(slope, 1e-9))
    return found


def not_negative(design: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Least squares whose unknowns are at least 0: those below are left out, and the rest is solved again."""
    found, kept = np.zeros(design.shape[1]), list(range(design.shape[1]))
    while kept:
        solved = np.linalg.lstsq(design[:, kept], wanted, rcond=None)[0]
        below = [column for column, value in zip(kept, solved, strict=True) if value < 0]
        if not below:
            found[kept] = solved
            break
        kept = [column for column in kept if column not in below]
    return found


def _rising(sizes: Sequence[int], values: Sequence[float]) -> list[tuple[int, float]]:
    """A table that never falls: where noise says that more line items cost less, they cost the same."""
    highest = np.maximum.accumulate(np.array(values))
    return [(size, float(f"{value:.4g}")) for size, value in zip(sizes, highest, strict=True)]
