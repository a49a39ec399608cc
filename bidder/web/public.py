"""The public port: what exchanges and browsers call about our bids.

Place: each worker serves it with aiohttp; notices/apply does what a notice says, other rooms bring routes of their own.
Paths: /win /bill /loss /event answer 204, /imp a transparent GIF, whatever the token is worth: who forges learns
    nothing. /click redirects to the landing page of the token's line item, or is a 404. /healthz says ok,
    /openapi.json what there is.
    GET and POST are the same; HEAD looks and changes nothing.
Limits: those of each Route for query (414) and body (413), BODY_S for a body (408), MAX_CONNECTIONS per worker and
    `max_per_address` of one client address: the next ones are closed at once; of a connection public_connection.py.
    limits.py says how often one caller may call (429).
Never: a 5xx; an identifier of a person in a log; a redirect to anything that came with the call.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bidder.metrics import Metric, Tally
from bidder.notices.apply import Kind, Notice, Notices, Result
from bidder.notices.urls import (
    IN_CURRENCY,
    IN_EVENT,
    IN_LAYOUT,
    IN_MIN_TO_WIN,
    IN_PRICE,
    IN_PRODUCT,
    IN_REASON,
    IN_SEAL,
)
from bidder.settings import PublicPort
from bidder.web.callers import Callers
from bidder.web.departure import Departure
from bidder.web.headers import finish, public_headers
from bidder.web.limits import KINDS, LIMITS, Limits, forged, kind_of
from bidder.web.limits import METRICS as LIMITS_METRICS
from bidder.web.listener import ACCEPTS_PER_TURN, Listener
from bidder.web.openapi import openapi_routes
from bidder.web.public_connection import OpenConnections, PublicConnection, Refusal
from bidder.web.routes import Route
from bidder.web.sockets import BACKLOG
from bidder.web.tls import PortTls

BODY_S: Final = 5.0
MAX_CONNECTIONS: Final = 4_096
GIF: Final = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)

METRICS: Final = (
    Metric("paceline_public_responses_total", "counter", "Answers of the public port by status", ("status",)),
    Metric("paceline_public_faults_total", "counter", "Our own errors while serving the public port"),
    Metric("paceline_public_refused_total", "counter", "Connections closed because there were too many"),
    Metric(
        "paceline_public_slow_heads_total", "counter", "Connections closed in the midst of a request's head"
    ),
    *LIMITS_METRICS,
)
_BAD: Final = {Result.FORGED, Result.MALFORMED, Result.UNKNOWN_KEY}
"""What a token of ours never is: who sends many of them is told to stop; who forges a few learns nothing."""


async def _no_handler(request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


_ANY: Final = Route("*", "", _no_handler), "other"
"""Bounds for what no route takes."""
_EVERYBODY: Final = Callers(())
HEADERS: Final[web.AppKey[Mapping[str, str]]] = web.AppKey("headers")

_log = logging.getLogger(__name__)


def public_app(
    routes: Iterable[Route],
    tally: Tally,
    limits: Limits | None = None,
    headers: Mapping[str, str] = MappingProxyType(public_headers("", 0)),
) -> web.Application:
    """The application of the public port, of the routes of all rooms; `headers` are headers.public_headers."""
    served = [*routes, Route("GET", "/healthz", _healthz), Route("HEAD", "/healthz", _healthz)]
    served += openapi_routes(served)
    known: dict[web.AbstractRoute, tuple[Route, str]] = {}
    largest = max(route.max_body for route in served)
    app = web.Application(client_max_size=largest, middlewares=[_guard(tally, known, limits)])
    if limits is not None:
        app[LIMITS] = limits
    app[HEADERS] = headers
    finish(app, headers)
    for route in served:
        kind = kind_of(route.method, route.path)
        known[app.router.add_route(route.method, route.path, route.handler)] = route, kind
    return app


def notice_routes(notices: Notices, port: PublicPort) -> list[Route]:
    """What exchanges and browsers call about our bids."""
    return [
        Route(method, f"/{kind.value}", handler, max_body=port.max_body_bytes)
        for kind in Kind
        for handler in (_notice_handler(notices, kind),)
        for method in ("GET", "POST", "HEAD")
    ]


def _notice_handler(notices: Notices, kind: Kind) -> Handler:
    answer = {Kind.IMP: _pixel, Kind.CLICK: _nowhere}.get(kind, _nothing)

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return answer()
        query = request.query
        receipt = notices.receive(_click(query) if kind is Kind.CLICK else _notice(kind, query))
        if receipt.result in _BAD and not KINDS[f"/{kind.value}"]:
            return forged(request) or answer()
        if receipt.landing_url is not None:
            return web.Response(status=302, headers={"Location": receipt.landing_url})
        return answer()

    return handle


def _notice(kind: Kind, query: Mapping[str, str]) -> Notice:
    return Notice(
        kind,
        query.get(IN_SEAL, ""),
        query.get(IN_PRICE, ""),
        query.get(IN_CURRENCY, ""),
        query.get(IN_REASON, ""),
        query.get(IN_EVENT, ""),
        query.get(IN_MIN_TO_WIN, ""),
    )


def _click(query: Mapping[str, str]) -> Notice:
    product, layout = query.get(IN_PRODUCT, ""), query.get(IN_LAYOUT, "")
    return Notice(Kind.CLICK, query.get(IN_SEAL, ""), product=product, layout=layout)


def _guard(
    tally: Tally, known: Mapping[web.AbstractRoute, tuple[Route, str]], limits: Limits | None
) -> Middleware:
    """Limits before, and nothing but documented answers after, every handler."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            route, kind = known.get(request.match_info.route, _ANY)
            refusal = limits.refuse(request, kind) if kind and limits is not None else None
            response = refusal or await _limited(request, handler, route)
        except web.HTTPException as answer:
            response = web.Response(status=answer.status, headers=_allow(answer))
        except ConnectionError:
            raise
        except Exception:
            tally.count("paceline_public_faults_total")
            _log.exception("the public port failed on a request")
            response = web.Response(status=404)
        tally.count("paceline_public_responses_total", str(response.status))
        return response

    return guard


async def _limited(request: web.Request, handler: Handler, route: Route) -> web.StreamResponse:
    if len(request.raw_path) > route.max_query:
        return web.Response(status=414)
    if request.body_exists:
        try:
            async with asyncio.timeout(BODY_S):
                if (request.content_length or 0) > route.max_body or len(
                    await request.read()
                ) > route.max_body:
                    return _closing(413)
        except TimeoutError:
            return _closing(408)
        except web.HTTPRequestEntityTooLarge:
            return _closing(413)
        except (web.RequestPayloadError, ValueError):
            return _closing(400)
    return await handler(request)


def _closing(status: int) -> web.Response:
    response = web.Response(status=status)
    response.force_close()
    return response


def _allow(answer: web.HTTPException) -> dict[str, str]:
    allowed = answer.headers.get("Allow")
    return {"Allow": allowed} if allowed else {}


def _nothing() -> web.Response:
    return web.Response(status=204)


def _pixel() -> web.Response:
    return web.Response(body=GIF, content_type="image/gif")


def _nowhere() -> web.Response:
    return web.Response(status=404, text="This link leads nowhere any more.\n")


async def _healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


class PublicServer:
    """The public port of one worker, listening on a socket that is already bound."""

    def __init__(
        self,
        app: web.Application,
        tally: Tally,
        max_per_address: int = PublicPort().max_per_address,
        callers: Callers = _EVERYBODY,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        """`callers` knows the proxies, whose connections are not counted; `max_connections`: where the process may have
        few files open, fewer than MAX_CONNECTIONS."""
        self._max_connections = max_connections
        self._runner = web.AppRunner(app)
        self._tally = tally
        self._open = OpenConnections({}, max_per_address, callers, app[HEADERS])
        self._listener: Listener | None = None
        self._departure = Departure(app)

    async def start(
        self, bound: socket.socket, tls: PortTls | None = None, accepts: int = ACCEPTS_PER_TURN
    ) -> None:
        """Listen; the socket belongs to the server from now on. `accepts` connections are taken in one turn."""
        await self._runner.setup()
        self._listener = Listener(bound, self._connection, BACKLOG, tls, accepts)

    async def drain(self, *, succeeded: bool = False) -> None:
        """Take no more connections and let those that are open go; see departure.py."""
        server = self._runner.server
        assert server is not None, "started"
        assert self._listener is not None, "started"
        connections = cast(Callable[[], list[PublicConnection]], lambda: server.connections)
        await self._departure.depart(self._listener, connections, succeeded=succeeded)

    async def stop(self) -> None:
        """Take no more connections, let running answers end, close."""
        if self._listener is not None:
            self._listener.close()
            await self._listener.opened()
        await self._runner.cleanup()

    def _connection(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        assert server is not None, "start() set the runner up"
        if len(server.connections) >= min(MAX_CONNECTIONS, self._max_connections):
            self._tally.count("paceline_public_refused_total")
            return Refusal()
        return PublicConnection(server, BODY_S, self._tally, self._open)
