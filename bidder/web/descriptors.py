"""Open files of a worker: how many connections each of its ports may have, so that neither takes those of the other.

Place: app.py hands the ports their bounds; `paceline check` says what the limit allows. The supervisor raises the soft
    limit to the hard one (commands/serve.py), and workers inherit it.
Rule: OWN are the worker's files and its connections to stores. Each port needs some for those that were accepted and
    are not counted yet, or were refused and are not closed yet. Of what is left the ports have what they are
    configured to, or, where that is too much, the public port at least a quarter, and the exchange port the rest.
Source: measured, 1,024 open files: idle connections to the public port had all of them, and no exchange got in.
"""

import resource
from typing import Final

from msgspec import Struct

from bidder.config import Config
from bidder.web.listener import ACCEPTS_PER_TURN
from bidder.web.public import MAX_CONNECTIONS
from bidder.web.tls import MAX_HANDSHAKES

OWN: Final = 256
TURNS: Final = 3
"""Of the loop, until a connection that was accepted and refused is closed; measured with uvloop 0.23."""
PASSING: Final = TURNS * ACCEPTS_PER_TURN
"""Of each port."""


class Bounds(Struct, frozen=True):
    """Of one worker, in open files."""

    exchange: int
    """Connections of the exchange port."""
    public: int
    """Connections of the public port."""
    handshakes: int
    """Of TLS, under way at once, of each port that speaks it."""
    accepts: int
    """Connections taken in one turn of the loop, of each port."""


def open_files_limit() -> int:
    """How many files this process may have open."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft != resource.RLIM_INFINITY else 2**31


def needed(config: Config) -> int:
    """How many open files a worker needs for all connections that its ports are configured to have."""
    connections = config.exchange.max_connections + MAX_CONNECTIONS
    return OWN + connections + 2 * PASSING + _secured(config) * MAX_HANDSHAKES


def bounds(config: Config, limit: int) -> Bounds:
    """What fits into `limit` open files; below 2 * OWN it is as if there were so many."""
    room = max(limit, 2 * OWN) - OWN
    handshakes = min(MAX_HANDSHAKES, room // 8)
    passing = min(2 * PASSING, room // 4)
    left = room - passing - _secured(config) * handshakes
    wanted = config.exchange.max_connections
    public = min(MAX_CONNECTIONS, max(left // 4, left - wanted))
    return Bounds(min(wanted, left - public), public, handshakes, passing // (2 * TURNS))


def _secured(config: Config) -> int:
    """How many of its ports speak TLS."""
    return sum(bool(port.tls.cert_file) for port in (config.exchange, config.public))
