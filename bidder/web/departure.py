"""How the public port lets its connections go: each answer is the last of its connection, who is silent is closed.

Place: public.py, before it is stopped.
Limits: DEPART_S for all; a connection silent for QUIET_S is closed, a busier one by its next answer.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from aiohttp import web

from bidder.web.listener import Listener

DEPART_S: Final = 3.0
QUIET_S: Final = 1.0
LOOK_S: Final = 0.05


class Leaving(Protocol):
    """A connection."""

    def silent_s(self, now_s: float) -> float:
        """For how long nothing came, by the loop's clock; 0 while something is in it."""

    def force_close(self) -> None:
        """Close it."""


class Departure:
    """Of one server."""

    def __init__(self, app: web.Application) -> None:
        """The application's answers are told when they are the last."""
        self.begun = False
        app.on_response_prepare.append(self._last)

    async def depart(
        self, listener: Listener, connections: Callable[[], Iterable[Leaving]], *, succeeded: bool
    ) -> None:
        """Take no more connections and wait until all are gone, DEPART_S at most.

        `succeeded`: another process accepts from the same socket, what waits there is left to it.
        """
        self.begun = True
        if succeeded:
            listener.leave()
        else:
            listener.close()
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DEPART_S):
                await listener.opened()
                while left := list(connections()):
                    for connection in left:
                        if connection.silent_s(loop.time()) >= QUIET_S:
                            connection.force_close()
                    await asyncio.sleep(LOOK_S)

    async def _last(self, request: web.Request, response: web.StreamResponse) -> None:
        if self.begun:
            response.force_close()
            response.headers["Connection"] = "close"
