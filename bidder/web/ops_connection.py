"""Connections of the operators' port: how many there may be, and how long each may take.

Place: service.py has its listener make them; /live, the metrics and the page come over them, so that whoever holds many
    must not keep the others out, nor take the supervisor's descriptors, without which no worker starts again.
Limits: MAX_CONNECTIONS; where there are so many, the one that was silent longest goes, unless what it asked for is
    being done. Those of http_connection.py, and admin.BODY_S for what is left of a body that was not read.
"""

import asyncio
import logging
from typing import Final, cast

from aiohttp import web

from bidder.web.admin import BODY_S
from bidder.web.http_connection import HttpConnection

MAX_CONNECTIONS: Final = 256

_log = logging.getLogger(__name__)


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


class _Connection(HttpConnection):
    """One connection."""

    __slots__ = ("_connections", "_wire")

    def __init__(self, server: web.Server, connections: OpsConnections) -> None:
        super().__init__(server, BODY_S)
        self._connections = connections
        self._wire: asyncio.Transport | None = None

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

    def connection_lost(self, exc: BaseException | None) -> None:
        """The end of it, whoever wanted it."""
        self._connections.leave(self)
        super().connection_lost(exc)

    def overdue(self, *, begun: bool) -> None:
        """Cut, whether it began or not."""
        self.abort()

    def abort(self) -> None:
        """Close at once, whatever was still to be sent."""
        if self._wire is not None:
            self._wire.abort()
