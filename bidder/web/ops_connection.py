"""Connections of the operators' port: how many there may be, and how long each may take.

Place: service.py has its listener make them; /live, the metrics and the page come over them, so that whoever holds many
    must not keep the others out, nor take the supervisor's descriptors, without which no worker starts again.
Limits: MAX_CONNECTIONS; where there are so many, the one that was silent longest goes, unless what it asked for is
    being done. HEAD_S for a request's head, also the first one of a connection; IDLE_S between requests; admin.BODY_S
    for what is left of a body that was not read.
"""

import asyncio
import logging
from typing import Final, cast

from aiohttp import web

from bidder.web.admin import BODY_S

MAX_CONNECTIONS: Final = 256
HEAD_S: Final = 10.0
IDLE_S: Final = 75.0
"""Prometheus comes back within a minute."""

_log = logging.getLogger(__name__)
_http_log = logging.getLogger(f"{__name__}.http")
_http_log.addFilter(lambda record: False)  # aiohttp names the client's address on every bad request


class OpsConnections:
    """Makes the connections of one port, and knows those that are open."""

    def __init__(self, runner: web.AppRunner) -> None:
        """`runner` was set up."""
        assert runner.server is not None, "set up"
        self._server = runner.server
        self._open: dict[_Connection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __call__(self) -> asyncio.BaseProtocol:
        """The protocol of a connection that was accepted."""
        return _Connection(self._server, self)

    def join(self, connection: "_Connection") -> bool:
        """Count one more; whether there is a place for it."""
        if len(self._open) >= MAX_CONNECTIONS and not self._make_room():
            return False
        self._open[connection] = None
        return True

    def leave(self, connection: "_Connection") -> None:
        """One is gone."""
        self._open.pop(connection, None)

    def _make_room(self) -> bool:
        silent = [connection for connection in self._open if not connection.busy]
        if not silent:
            _log.warning("the operators' port takes no more connections than %d", MAX_CONNECTIONS)
            return False
        _log.warning("the operators' port has %d connections: a silent one is closed", MAX_CONNECTIONS)
        oldest = min(silent, key=lambda connection: connection.heard_s)
        del self._open[oldest]
        oldest.abort()
        return True


class _Connection(web.RequestHandler):
    """One connection."""

    __slots__ = ("_connections", "_head", "_wire", "heard_s")

    def __init__(self, server: web.Server, connections: OpsConnections) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes None for none
            logger=_http_log,
            keepalive_timeout=IDLE_S,
            lingering_time=BODY_S,
            auto_decompress=False,
        )
        self._connections = connections
        self._wire: asyncio.Transport | None = None
        self._head: asyncio.TimerHandle | None = None
        self.heard_s = self._loop.time()
        """When something came last."""

    @property
    def busy(self) -> bool:
        """Whether a whole request is being answered."""
        request = self._current_request
        return request is not None and request.content.is_eof()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected; one too many is closed again."""
        self._wire = cast(asyncio.Transport, transport)  # uvloop's transports are no subclass of it
        if not self._connections.join(self):
            self._wire.abort()
            return
        super().connection_made(transport)
        self._head = self._loop.call_later(HEAD_S, self.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The end of it, whoever wanted it."""
        self._connections.leave(self)
        self._no_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came: a head that begins with them has HEAD_S to end, however many there are."""
        before = self._request_count
        self.heard_s = self._loop.time()
        super().data_received(data)
        if self._request_count != before:
            self._no_head()
        elif self._head is None and self._waits():
            self._head = self._loop.call_later(HEAD_S, self.abort)

    def abort(self) -> None:
        """Close at once, whatever was still to be sent."""
        if self._wire is not None:
            self._wire.abort()

    def _waits(self) -> bool:
        """Whether what came belongs to no request yet."""
        return self._waiter is not None and not self._waiter.done() and not self._messages

    def _no_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None
