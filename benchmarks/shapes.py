"""How load changes over a run: steady, plateaus, diurnal, spike and soak.

Place: the Locust users and the open-loop generator take the same shapes, so that their runs can be compared.
Shapes: a Shape maps seconds since the start and the length of the run to a share of the highest load, within (0, 1].
Source: HOURS is the usual day of a marketplace in one time zone: lowest before dawn, a hump at noon, the peak at nine
    in the evening.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

Shape = Callable[[float, float], float]

HOURS: Final = (
    0.55, 0.40, 0.30, 0.25, 0.24, 0.27, 0.36, 0.50, 0.60, 0.66, 0.70, 0.74,
    0.77, 0.75, 0.72, 0.71, 0.73, 0.78, 0.85, 0.92, 0.98, 1.00, 0.90, 0.72,
)  # fmt: skip
SPIKE_FACTOR: Final = 3.0
"""How much higher the spike is than what is around it."""
SPIKE: Final = (0.4, 0.6)
"""When it is, in shares of the run."""
SPIKE_RISE_S: Final = 2.0
"""So long it takes to get there, and back; a tenth of the run where that is shorter."""
SOAK_RISE: Final = 0.02
"""Share of the run in which a soak comes up."""
LEAST: Final = 0.05


def steady(elapsed_s: float, seconds: float) -> float:
    """The same all the time."""
    return 1.0


def plateaus(elapsed_s: float, seconds: float) -> float:
    """A third, two thirds, all of it: a third of the time each."""
    return min(3, 1 + int(3 * elapsed_s / seconds)) / 3


def diurnal(elapsed_s: float, seconds: float) -> float:
    """A day in the length of the run, midnight to midnight, hours joined by straight lines."""
    hour = 24 * elapsed_s / seconds % 24
    here = int(hour)
    after = HOURS[(here + 1) % 24]
    return HOURS[here] + (after - HOURS[here]) * (hour - here)


def spike(elapsed_s: float, seconds: float) -> float:
    """A third, three times as much within seconds, and back."""
    rise_s = min(SPIKE_RISE_S, seconds / 10)
    up_s, down_s = SPIKE[0] * seconds, SPIKE[1] * seconds
    risen = min(1.0, max(0.0, (elapsed_s - up_s) / rise_s))
    fallen = min(1.0, max(0.0, (elapsed_s - down_s) / rise_s))
    return (1 + (SPIKE_FACTOR - 1) * (risen - fallen)) / SPIKE_FACTOR


def soak(elapsed_s: float, seconds: float) -> float:
    """Up slowly, then the same for hours."""
    return min(1.0, max(LEAST, elapsed_s / (SOAK_RISE * seconds)))


SHAPES: Final[dict[str, Shape]] = {
    "steady": steady,
    "plateaus": plateaus,
    "diurnal": diurnal,
    "spike": spike,
    "soak": soak,
}
