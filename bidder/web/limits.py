"""How often one caller may call the public port: token buckets by address and kind of endpoint.

Place: public.py asks before a handler runs; the handlers of shops' batches and of notices ask by themselves.
Rule: money never depends on it. Of /win, /bill, /loss and /imp every call is read, and whatever has a good token is
    taken, however many come; a call whose token is none of ours costs its caller a turn of `forgeries`, and who has
    none left is told 429 instead of 204. The same turns are lost with a wrong token of /v1/events and a wrong signature
    of /v1/matches. Batches of shops' servers are counted by advertiser, all else by caller (callers.py).
    A call whose caller is not known is counted with all such of its peer: a proxy speaks for itself, or the caller
    claims a private address, which nobody on the open internet has and anybody can write. Those, and the /64s of one
    /48, which one network may have all of, share a bucket of SHARED times the rate.
Shapes: a bucket is two cells: 64 bits of a keyed hash of kind and caller (Python's SipHash with a key of our own
    before it), and the moment when it is full again (GCRA): seconds of a clock that does not run backwards.
Limits: SETS x WAYS buckets for each worker, 1 MB, whatever comes; of WAYS callers whose hashes fall together and one
    more, the one is forgotten who is nearest to a full bucket: who is held back stays so.
Never: an address in memory for longer than its call: the hash's key is made anew every KEY_S, and all buckets with it.
Source: the generic cell rate algorithm, ITU-T I.371.
"""

import secrets
from array import array
from math import ceil
from typing import Final

from aiohttp import web
from msgspec import structs

from bidder.clock import Clock
from bidder.metrics import Metric, Tally
from bidder.settings import Rates
from bidder.web.callers import FORWARDED, Callers

SETS: Final = 16_384
WAYS: Final = 4
KEY_S: Final = 600.0
SHARED: Final = 50
"""So many callers' worth have those who share: a /48 may be a mobile carrier's, and hold many people."""
_UNKNOWN: Final = b"unknown "
FORGERIES: Final = "forgeries"
EVENTS: Final = "events"
BEACONS: Final = "beacons"
FREE: Final = ""
"""The kind of what is not counted before it was read."""
KINDS: Final = {
    "/win": FREE,
    "/bill": FREE,
    "/loss": FREE,
    "/imp": FREE,
    "/click": BEACONS,
    "/event": BEACONS,
    "/tag.js": "shop",
    "/tag-1.js": "shop",
    "/pixel": "shop",
    "/v1/syncs": "shop",
    "/v1/events": FREE,
    "/sync/{exchange}": "sync",
    "/v1/matches/{exchange}": "matches",
    "/render": "render",
    "/render/native": "render",
    "/privacy": "privacy",
    "/privacy/choice": "privacy",
    "/privacy/data": "privacy",
    "/privacy/erase": "privacy",
    "/dsr": "deletion",
    "/dsr/jwks.json": "deletion",
    "/dsrdelete.json": "deletion",
    "/healthz": FREE,
    "/openapi.json": "other",
}
"""By path; what does not stand here is `other`."""
_MONEY: Final = ("/win", "/bill", "/loss", "/imp")
_ASKED: Final = (*_MONEY, "/v1/events")
"""Free before, and a 429 may come all the same: of a forgery, or of too many batches."""

METRICS: Final = (
    Metric(
        "paceline_public_limited_total",
        "counter",
        "Calls of the public port answered 429 because their caller called too often, by kind of endpoint",
        ("kind",),
    ),
)


def kind_of(method: str, path: str) -> str:
    """What a route is counted as before its handler runs; of a notice HEAD moves nothing."""
    return BEACONS if method == "HEAD" and path in _MONEY else KINDS.get(path, "other")


def may_refuse(method: str, path: str) -> bool:
    """Whether a route may answer 429 for being called too often."""
    return bool(kind_of(method, path)) or path in _ASKED


class Buckets:
    """A fixed number of token buckets."""

    def __init__(self, sets: int = SETS) -> None:
        """`sets` is a power of two."""
        self._mask = sets - 1
        self._owners = array("q", bytes(8 * sets * WAYS))
        self._full_s = array("d", bytes(8 * sets * WAYS))
        self._key, self._key_until_s = b"", 0.0

    def take(self, name: bytes, rate: tuple[float, float], now_s: float) -> float:
        """0.0 where it is this name's turn; else how long until it is, and nothing is taken.

        `rate` is (seconds for one call, seconds that a full bucket is worth)."""
        if now_s >= self._key_until_s:
            self._begin_anew(now_s)
        owner = hash(self._key + name)
        owners, full = self._owners, self._full_s
        first = (owner & self._mask) * WAYS
        for at in range(first, first + WAYS):
            if owners[at] == owner:
                full_s = full[at]
                if full_s < now_s:
                    full_s = now_s
                break
        else:
            at = min(range(first, first + WAYS), key=full.__getitem__)
            owners[at], full_s = owner, now_s
        each_s, burst_s = rate
        wait_s = full_s + each_s - burst_s - now_s
        if wait_s > 1e-9:  # of a difference of large numbers
            return wait_s
        full[at] = full_s + each_s
        return 0.0

    def _begin_anew(self, now_s: float) -> None:
        self._key, self._key_until_s = secrets.token_bytes(32), now_s + KEY_S
        for cells in (self._owners, self._full_s):
            memoryview(cells).cast("B")[:] = bytes(8 * len(cells))


class Limits:
    """One worker's limits, for every kind of endpoint: the fields of settings.Rates."""

    def __init__(self, rates: Rates, callers: Callers, clock: Clock, tally: Tally) -> None:
        self._callers, self._clock, self._tally = callers, clock, tally
        self._buckets = Buckets()
        self._rates = {
            kind: (kind.encode() + b" ", (1.0 / rate.per_s, rate.burst / rate.per_s))
            for kind, rate in structs.asdict(rates).items()
        }
        for kind in self._rates:
            tally.slot("paceline_public_limited_total", kind)  # so that the first one is seen as an increase

    def refuse(self, request: web.Request, kind: str) -> web.Response | None:
        """The answer to one call too many of its caller, its network or its proxy; None where it is in turn."""
        transport = request.transport
        if transport is None:
            return None
        peer = transport.get_extra_info("peername")
        caller = self._callers.of_call(peer, request.headers.getall(FORWARDED, ()))
        if not caller:
            wait_s = self._shared_wait_s(_UNKNOWN + self._callers.of_peer_itself(peer), kind)
            return self._answer(kind, wait_s)
        wait_s = self._wait_s(caller, kind)
        if not wait_s and len(caller) == 8:
            wait_s = self._shared_wait_s(caller[:6], kind)
        return self._answer(kind, wait_s)

    def refuse_name(self, name: bytes, kind: str) -> web.Response | None:
        """The same for whoever has a name of its own."""
        return self._answer(kind, self._wait_s(name, kind))

    def _wait_s(self, name: bytes, kind: str) -> float:
        prefix, rate = self._rates[kind]
        return self._buckets.take(prefix + name, rate, self._clock.monotonic_ns() / 1e9)

    def _shared_wait_s(self, name: bytes, kind: str) -> float:
        prefix, (each_s, burst_s) = self._rates[kind]
        rate = each_s / SHARED, burst_s
        return self._buckets.take(prefix + name, rate, self._clock.monotonic_ns() / 1e9)

    def _answer(self, kind: str, wait_s: float) -> web.Response | None:
        if not wait_s:
            return None
        self._tally.count("paceline_public_limited_total", kind)
        return web.Response(
            status=429, headers={"Retry-After": str(ceil(wait_s))}, text="Too many calls: come again later.\n"
        )


LIMITS: Final = web.AppKey("limits", Limits)
"""Where handlers find the limits of their port; absent where none are set."""


def forged(request: web.Request) -> web.Response | None:
    """Count a call whose token or signature is none of ours: the answer where its caller sent too many of them."""
    limits = request.app.get(LIMITS)
    return limits.refuse(request, FORGERIES) if limits is not None else None


def too_many(request: web.Request, name: str) -> web.Response | None:
    """Count a batch of an advertiser, whose token was good: the answer where there were too many."""
    limits = request.app.get(LIMITS)
    return limits.refuse_name(name.encode(), EVENTS) if limits is not None else None
