"""What all connections of one exchange port share: where paths lead, the limits, the cells.

Place: ExchangeServer makes one; every connection holds it.
"""

import asyncio
from typing import Protocol

from bidder.exchanges import Exchange
from bidder.metrics import Tally
from bidder.settings import ExchangePort
from bidder.web.counts import NONE, Counts, PortCells
from bidder.web.tick import Tick


class Swept(Protocol):
    """A connection as the server sees it."""

    def sweep(self, now_ns: int, idle_s: float) -> None:
        """Cut what is too slow."""

    def abort(self) -> None:
        """Cut it."""


class Target:
    """What a path leads to; no profile: the ready check."""

    __slots__ = ("counts", "profile")

    def __init__(self, profile: Exchange | None, counts: Counts) -> None:
        self.profile = profile
        self.counts = counts


class Port:
    """What all connections of a server share."""

    __slots__ = (
        "cells", "connections", "empty", "length_digits", "limits", "none", "port_cells", "ready", "targets",
        "tick",
    )  # fmt: skip

    def __init__(
        self, limits: ExchangePort, profiles: tuple[Exchange, ...], tally: Tally, tick: Tick
    ) -> None:
        self.limits = limits
        self.length_digits = len(str(limits.max_body_bytes))
        self.tick = tick
        self.cells = tally.cells
        self.port_cells = PortCells(tally)
        self.none = Counts(tally, NONE)
        self.targets = {b"/bid/" + p.name.encode(): Target(p, Counts(tally, p.name)) for p in profiles}
        self.targets[b"/ready"] = Target(None, self.none)
        self.connections: set[Swept] = set()
        self.empty = asyncio.Event()
        """Set while no connection is open."""
        self.empty.set()
        self.ready = False

    def joined(self, connection: Swept) -> None:
        """A connection was opened."""
        self.connections.add(connection)
        self.empty.clear()

    def left(self, connection: Swept) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if not self.connections:
            self.empty.set()

    def target(self, url: bytes) -> Target | None:
        """Where a request target leads, in origin or absolute form, whatever its query."""
        path = url.partition(b"?")[0]
        if not path.startswith(b"/"):
            scheme, _, rest = path.partition(b"://")
            path = b"/" + rest.partition(b"/")[2] if scheme.lower() in (b"http", b"https") else b""
        return self.targets.get(path)
