"""The operators' port: metrics, liveness, readiness, and what else its owner adds.

Place: the supervisor serves it, so that a scrape or a probe never waits for, or costs, a bid.
Paths: /metrics Prometheus text; /live 200 while the supervisor runs; /ready `1` when at least one worker is
    ready, else 503 with a body that holds no `1` (Xandr reads it so). The page of console/ and the actions of admin.py
    are added.
Rule: /live and /ready answer everybody, whatever name they are called by; all else asks access.py. Prometheus brings a
    viewer's token: `authorization: {credentials_file: ...}` of its scrape configuration.
Limits: MAX_BODY of any call; those of scrapes.py for /metrics (503), of access.py for who is refused (429), of
    ops_connection.py for connections.
"""

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bidder.web.access import Access, Refusal, Refused
from bidder.web.admin import MAX_BODY
from bidder.web.exposition import CONTENT_TYPE
from bidder.web.headers import finish, ops_headers
from bidder.web.scrapes import Scrapes

NOT_READY: Final = "not ready\n"
OPEN: Final = ("/live", "/ready")
REFUSED: Final = {
    Refusal.UNAUTHENTICATED: "a token valid here is needed: Authorization: Bearer, from `paceline token`\n",
    Refusal.FORBIDDEN: "the token's role is not enough\n",
    Refusal.LIMITED: "too many refused calls: wait\n",
}


class Service(Protocol):
    """What the port tells of."""

    def ready(self) -> bool:
        """Whether at least one worker takes requests."""

    def scrape(self) -> bytes:
        """Prometheus text; called in a thread, one at a time."""


def ops_app(
    service: Service, access: Access, routes: Iterable[web.RouteDef] = (), *, tls: bool = False
) -> web.Application:
    """The application of the operators' port; `routes` ask `access` for themselves."""
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_named(access)])
    app.router.add_get("/metrics", _metrics(service.scrape, access))
    app.router.add_get("/live", _live)
    app.router.add_get("/ready", _ready(service.ready))
    app.router.add_routes(routes)
    finish(app, ops_headers(tls))
    return app


def refused(found: Refused) -> web.Response:
    """The answer to a program that may not look."""
    response = web.Response(status=found.why.value, text=REFUSED[found.why])
    if found.why is Refusal.UNAUTHENTICATED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _named(access: Access) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in OPEN and not access.knows_host(request):
            return web.Response(status=421, text="not a name of this port: see ops.hosts\n")
        return await handler(request)

    return middleware


def _metrics(scrape: Callable[[], bytes], access: Access) -> Handler:
    scrapes = Scrapes(scrape)

    async def metrics(request: web.Request) -> web.Response:
        found = access.looker(request, token=access.settings.metrics_token)
        if isinstance(found, Refused):
            return refused(found)
        text = await scrapes.text()
        if text is None:
            return web.Response(status=503, text="too many scrapes at once\n", headers={"Retry-After": "1"})
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    return metrics


def _ready(ready: Callable[[], bool]) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="1") if ready() else web.Response(status=503, text=NOT_READY)

    return answer


async def _live(request: web.Request) -> web.Response:
    return web.Response(text="alive\n")
