"""The whole operators' port with its page, over a service that the test makes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp.test_utils import TestServer

from bidder.clock import SystemClock
from bidder.console.page import Console
from bidder.metrics import Tally
from bidder.settings import OpsPort
from bidder.supervisor.catalogue import catalogue
from bidder.web.admin import Admin, Target
from bidder.web.ops import ops_app
from tests.bidder.console.samples import Service
from tests.bidder.web.operators import Service as Probe
from tests.bidder.web.operators import access


class Nothing:
    """No action does anything."""

    async def reload(self) -> None: ...

    async def restart(self) -> None: ...

    async def pause(self, target: Target, paused: bool) -> None: ...


@asynccontextmanager
async def serving(
    folder: Path, settings: OpsPort | None = None, service: Service | None = None
) -> AsyncIterator[tuple[TestServer, Console]]:
    """The port, and its page."""
    door, clock = access(settings), SystemClock()
    admin = Admin(door, Nothing(), Tally(), folder)
    shown = service or Service()
    console = Console(lambda: dict(shown.samples), catalogue, door, admin, clock)
    app = ops_app(Probe(), door, [*admin.routes(), *console.routes()])
    app.on_shutdown.append(console.feed.close)
    async with TestServer(app) as server:
        yield server, console
