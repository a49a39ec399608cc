"""All dashboards, in the order of a reader who looks for trouble."""

from typing import Final

from helm.panels import audience, fraud, latency, money, resources, traffic
from helm.panels.sketch import Sheet

SHEETS: Final[tuple[Sheet, ...]] = (
    traffic.SHEET,
    latency.SHEET,
    money.SHEET,
    audience.SHEET,
    fraud.SHEET,
    resources.SHEET,
)
