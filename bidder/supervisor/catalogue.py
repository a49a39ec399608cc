"""Every metric that Paceline can expose: the METRICS of all its modules.

Place: the supervisor asks at its first scrape; tests check names, help and labels here.
Never: a list to keep by hand: a module that counts declares what it counts, and is found.
"""

import importlib
import pkgutil
from functools import cache
from types import MappingProxyType

import bidder
from bidder.metrics import Metric


@cache
def catalogue() -> MappingProxyType[str, Metric]:
    """Metric by name; two different entries of one name are our bug."""
    found: dict[str, Metric] = {}
    for module in pkgutil.walk_packages(bidder.__path__, "bidder."):
        if module.name.endswith("__main__"):
            continue
        for metric in getattr(importlib.import_module(module.name), "METRICS", ()):
            assert found.setdefault(metric.name, metric) == metric, f"{metric.name} is declared twice"
    return MappingProxyType(found)
