"""Who calls the operators' port, and whether that is enough: host names, tokens, the browser's session.

Place: ops.py, admin.py and console/ ask before they answer.
Rule: on loopback a call must name this machine, so that no web page reaches the port by a name of its own (DNS
    rebinding). Elsewhere a token decides: in `Authorization: Bearer`, or in the session cookie that POST /login sets.
    The cookie holds a viewer's token of its own, whatever the role of the one that was posted; actions take no cookie.
    Who brings a wrong token too often is told to wait; a right one is heard all the same, since nobody guesses 256
    bits, and whoever shares an address with a guesser must not be locked out.
Limits: FAILURES wrong tokens of an address (of IPv6, a /64) at once, then FAILURES_PER_S; EVERYBODYS of all.
Never: a token or a whole address in a log.
"""

from enum import Enum
from ipaddress import ip_network
from typing import Final, NamedTuple

from aiohttp import hdrs, web

from bidder.clock import Clock
from bidder.notices.keys import Keyring
from bidder.settings import OpsPort
from bidder.web.callers import Callers
from bidder.web.roles import MAX_TOKEN, Holder, Role, check_token, make_token
from bidder.web.turns import Turns

COOKIE: Final = "paceline_ops"
SESSION_S: Final = 12 * 3_600
FAILURES: Final = 10
FAILURES_PER_S: Final = 0.1
EVERYBODYS: Final = 50
EVERYBODYS_PER_S: Final = 1.0
MAX_CALLERS: Final = 10_000
LOCAL: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_BEARER: Final = "bearer "
_ALL: Final = "all"


class Refusal(Enum):
    """Why a call is not answered."""

    UNAUTHENTICATED = 401
    FORBIDDEN = 403
    LIMITED = 429


class Refused(NamedTuple):
    """A call that is not answered, and whose it was where a token says so."""

    why: Refusal
    holder: Holder | None = None


class Access:
    """Decides for one port."""

    def __init__(self, settings: OpsPort, keyring: Keyring, clock: Clock) -> None:
        self.settings, self._keyring, self._clock = settings, keyring, clock
        self._callers = Callers(())
        self._failures = Turns(FAILURES_PER_S, FAILURES, MAX_CALLERS)
        self._everybody = Turns(EVERYBODYS_PER_S, EVERYBODYS, 1)
        bound = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._hosts = LOCAL | {bound.lower()} | {name.lower() for name in settings.hosts}

    def adopt(self, keyring: Keyring) -> None:
        """From now on believe these keys; sessions by keys that are gone end with their next call."""
        self._keyring = keyring

    def knows_host(self, request: web.Request) -> bool:
        """Whether the call is for a name of this machine; off loopback every name will do."""
        if not self.settings.loopback:
            return True
        lines = request.headers.getall(hdrs.HOST, [])
        return len(lines) == 1 and host_of(lines[0]) in self._hosts

    def looker(self, request: web.Request, *, token: bool) -> Holder | Refused | None:
        """Who looks at a page or at metrics; None is anybody, where no `token` is needed. A wrong token is refused even
        there."""
        given = bearer_of(request)
        if given is None and not token:
            return None
        return self._checked(request, request.cookies.get(COOKIE) if given is None else given, Role.VIEWER)

    def actor(self, request: web.Request, role: Role) -> Holder | Refused:
        """Who acts; a cookie is not looked at, so that no page of another site can act for its reader."""
        return self._checked(request, bearer_of(request), role)

    def login(self, request: web.Request, token: str) -> Holder | Refused:
        """Who posts a token to the form."""
        return self._checked(request, token, Role.VIEWER)

    def open_session(self, response: web.Response, holder: Holder, *, secure: bool) -> None:
        """Let a browser look until it is closed, SESSION_S at most, and no longer than the token it showed."""
        until_s = min(holder.expires_s, int(self._clock.now_s()) + SESSION_S)
        token = make_token(self._keyring, Holder(holder.name, Role.VIEWER, until_s))
        response.set_cookie(COOKIE, token, path="/", httponly=True, samesite="Strict", secure=secure)

    def open_still(self, holder: Holder | None) -> bool:
        """Whether who looks may go on."""
        return holder is None or holder.expires_s > self._clock.now_s()

    def network_of(self, request: web.Request) -> str:
        """Where a call comes from, as a log may know it: a /24, of IPv6 a /48."""
        peer = request.transport.get_extra_info("peername") if request.transport else None
        packed = self._callers.of_peer(peer)
        if not packed:
            return "nowhere"
        bits = 24 if len(packed) == 4 else 48
        return str(ip_network((packed.ljust(16, b"\0") if bits == 48 else packed, bits), strict=False))

    def _checked(self, request: web.Request, token: str | None, role: Role) -> Holder | Refused:
        if not token:
            return Refused(Refusal.UNAUTHENTICATED)
        now_s = self._clock.now_s()
        holder = check_token(self._keyring, token, now_s)
        if holder is None:
            may_fail = self._may_fail(request, now_s)
            return Refused(Refusal.UNAUTHENTICATED if may_fail else Refusal.LIMITED)
        return holder if holder.may(role) else Refused(Refusal.FORBIDDEN, holder)

    def _may_fail(self, request: web.Request, now_s: float) -> bool:
        peer = request.transport.get_extra_info("peername") if request.transport else None
        caller = self._callers.of_peer(peer)
        return self._failures.take(caller, now_s) and self._everybody.take(_ALL, now_s)


def bearer_of(request: web.Request) -> str | None:
    """The token of the Authorization header; empty for a header that holds none, None without one."""
    lines = request.headers.getall(hdrs.AUTHORIZATION, [])
    if not lines:
        return None
    line = lines[0]
    if len(lines) > 1 or len(line) > MAX_TOKEN + len(_BEARER) or not line.lower().startswith(_BEARER):
        return ""
    return line[len(_BEARER) :].strip()


def host_of(text: str) -> str:
    """The name in a Host header, without its port."""
    name = text.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0].removesuffix(".")
