"""The operators' port: metrics, liveness, readiness.

Place: the supervisor serves it, so that a scrape or a probe never waits for, or costs, a bid.
Paths: /metrics Prometheus text; /live 200 while the supervisor runs; /ready `1` when at least one worker is
    ready, else 503 with a body that holds no `1` (Xandr reads it so).
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from bidder.web.exposition import CONTENT_TYPE

NOT_READY: Final = "not ready\n"


class Service(Protocol):
    """What the port tells of."""

    def ready(self) -> bool:
        """Whether at least one worker takes requests."""

    def scrape(self) -> bytes:
        """Prometheus text; called in a thread, one at a time."""


def ops_app(service: Service) -> web.Application:
    """The application of the operators' port."""
    app = web.Application()
    app.router.add_get("/metrics", _metrics(service.scrape))
    app.router.add_get("/live", _live)
    app.router.add_get("/ready", _ready(service.ready))
    return app


def _metrics(scrape: Callable[[], bytes]) -> Handler:
    one_at_a_time = asyncio.Lock()

    async def metrics(request: web.Request) -> web.Response:
        async with one_at_a_time:
            text = await asyncio.to_thread(scrape)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    return metrics


def _ready(ready: Callable[[], bool]) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="1") if ready() else web.Response(status=503, text=NOT_READY)

    return answer


async def _live(request: web.Request) -> web.Response:
    return web.Response(text="alive\n")
