"""A connection of a port that aiohttp serves: how long a head may take, and for how long nothing came.

Place: public_connection.py and ops_connection.py say who may have one, and what becomes of one that takes too long.
Limits: HEAD_S for a head from its first byte on, and for the first byte of a new connection; IDLE_S between requests;
    `lingering_s` for what is left of a body that was not read.
"""

import asyncio
import logging
from typing import Any, Final

from aiohttp import web

HEAD_S: Final = 10.0
IDLE_S: Final = 75.0
"""Above the 60 s of usual load balancers, so that they close first; Prometheus is back within a minute."""

_http_log = logging.getLogger(__name__)
_http_log.addFilter(lambda record: False)  # aiohttp names the client's address on every bad request


class HttpConnection(web.RequestHandler):
    """One connection; a port's own kind says what `overdue` does."""

    __slots__ = ("_begun", "_head", "heard_s")

    def __init__(self, server: web.Server, lingering_s: float, **more: Any) -> None:
        """`more`: as aiohttp's RequestHandler takes it."""
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes None for none
            logger=_http_log,
            keepalive_timeout=IDLE_S,
            lingering_time=lingering_s,
            auto_decompress=False,
            **more,
        )
        self._head: asyncio.TimerHandle | None = None
        self._begun = False
        self.heard_s = self._loop.time()
        """When something came last."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected, and has HEAD_S to say something."""
        self._time_head()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The end of it, whoever wanted it."""
        self._no_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came: a head that begins with them has HEAD_S to end, however many there are."""
        before = self._request_count
        self.heard_s = self._loop.time()
        super().data_received(data)
        if self._request_count != before:
            self._no_head()
        elif not self._begun and self._idle():
            self._no_head()
            self._begun = True
            self._time_head()

    def silent_s(self, now_s: float) -> float:
        """For how long it is open, or waits for its next request, and nothing came; 0 while something is in it."""
        return now_s - self.heard_s if self._idle() and not self._begun else 0.0

    def overdue(self, *, begun: bool) -> None:
        """A head did not end in time; `begun`: something of it had come."""
        self.force_close()

    def _idle(self) -> bool:
        """Whether what came belongs to no request yet."""
        waits = self._waiter is not None and not self._waiter.done()
        return not self._request_count or (waits and not self._messages)

    def _time_head(self) -> None:
        self._head = self._loop.call_later(HEAD_S, self._too_slow)

    def _no_head(self) -> None:
        self._begun = False
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _too_slow(self) -> None:
        self._head = None
        self.overdue(begun=self._begun)
