"""Who calls the operators' port, and whether that is enough: host names, tokens, the browser's session.

Place: ops.py, admin.py and console/ ask before they answer.
Rule: on loopback, and wherever `ops.hosts` is set, a call must name this machine, so that no web page reaches the port
    by a name of its own (DNS rebinding). Elsewhere a token decides: in `Authorization: Bearer`, or in the session
    cookie that POST /login sets. The cookie holds a viewer's token of its own, whatever the role of the one that was
    posted, signed by the key of that one, so that it is taken back with it; actions take no cookie.
    Who is refused too often, with a wrong token or none, is told to wait, and so is the holder of one that is not
    enough; a right one is heard all the same, since nobody guesses 256 bits, and whoever shares an address with a
    guesser must not be locked out.
Limits: FAILURES refusals of an address (of IPv6, a /64), or of a holder, at once, then FAILURES_PER_S; EVERYBODYS of
    all addresses.
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
from bidder.web.roles import MAX_TOKEN, Holder, Role, check_token, make_token, signer_of
from bidder.web.turns import Turns

COOKIE: Final = "paceline_ops"
SECURE_COOKIE: Final = f"__Host-{COOKIE}"
"""Its name over TLS: a browser takes it from no other host, and from no answer in the clear."""
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
        self._forbidden = Turns(FAILURES_PER_S, FAILURES, MAX_CALLERS)
        bound = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._hosts = LOCAL | {bound.lower()} | {name.lower() for name in settings.hosts}

    def adopt(self, keyring: Keyring) -> None:
        """From now on believe these keys; what keys that are gone have signed is refused, and its feeds end."""
        self._keyring = keyring

    def knows_host(self, request: web.Request) -> bool:
        """Whether the call is for a name of this machine; off loopback every name will do, where none are set."""
        if not self.settings.loopback and not self.settings.hosts:
            return True
        lines = request.headers.getall(hdrs.HOST, [])
        return len(lines) == 1 and host_of(lines[0]) in self._hosts

    def looker(self, request: web.Request, *, token: bool) -> Holder | Refused | None:
        """Who looks at a page or at metrics; None is anybody, where no `token` is needed. A wrong token is refused even
        there."""
        if not token and bearer_of(request) is None:
            return None
        return self._checked(request, _shown(request), Role.VIEWER)

    def actor(self, request: web.Request, role: Role) -> Holder | Refused:
        """Who acts; a cookie is not looked at, so that no page of another site can act for its reader."""
        return self._checked(request, bearer_of(request), role)

    def login(self, request: web.Request, token: str) -> Holder | Refused:
        """Who posts a token to the form."""
        return self._checked(request, token, Role.VIEWER)

    def open_session(self, request: web.Request, response: web.Response, token: str, holder: Holder) -> None:
        """Let a browser look until it is closed, SESSION_S at most, and no longer than the token that it showed."""
        until_s = min(holder.expires_s, int(self._clock.now_s()) + SESSION_S)
        session = make_token(self._keyring, Holder(holder.name, Role.VIEWER, until_s), signer_of(token))
        response.set_cookie(
            cookie_of(request), session, path="/", httponly=True, samesite="Strict", secure=request.secure
        )

    def close_session(self, request: web.Request, response: web.Response) -> None:
        """Have a browser forget it."""
        response.del_cookie(
            cookie_of(request), path="/", httponly=True, samesite="Strict", secure=request.secure
        )

    def open_still(self, request: web.Request, holder: Holder | None) -> bool:
        """Whether who looks may go on: the token of the call is still good, by the keys of now."""
        if holder is None:
            return True
        return check_token(self._keyring, _shown(request) or "", self._clock.now_s()) is not None

    def caller_of(self, request: web.Request) -> bytes:
        """Whom calls without a token are counted by."""
        return self._callers.of_peer(
            request.transport.get_extra_info("peername") if request.transport else None
        )

    def network_of(self, request: web.Request) -> str:
        """Where a call comes from, as a log may know it: a /24, of IPv6 a /48."""
        peer = request.transport.get_extra_info("peername") if request.transport else None
        packed = self._callers.of_peer(peer)
        if not packed:
            return "nowhere"
        bits = 24 if len(packed) == 4 else 48
        return str(ip_network((packed.ljust(16, b"\0") if bits == 48 else packed, bits), strict=False))

    def _checked(self, request: web.Request, token: str | None, role: Role) -> Holder | Refused:
        now_s = self._clock.now_s()
        holder = check_token(self._keyring, token, now_s) if token else None
        if holder is None:
            may_fail = self._may_fail(request, now_s)
            return Refused(Refusal.UNAUTHENTICATED if may_fail else Refusal.LIMITED)
        if holder.may(role):
            return holder
        may_ask = self._forbidden.take(holder.name, now_s)
        return Refused(Refusal.FORBIDDEN if may_ask else Refusal.LIMITED, holder)

    def _may_fail(self, request: web.Request, now_s: float) -> bool:
        return self._failures.take(self.caller_of(request), now_s) and self._everybody.take(_ALL, now_s)


def cookie_of(request: web.Request) -> str:
    """The session cookie's name, on the way that the call came."""
    return SECURE_COOKIE if request.secure else COOKIE


def _shown(request: web.Request) -> str | None:
    """The token that a call brings: its header's, else its cookie's."""
    given = bearer_of(request)
    return request.cookies.get(cookie_of(request)) if given is None else given


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
