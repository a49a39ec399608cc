"""Connections of the public port: how many one address may have, and what aiohttp itself could not read.

Place: public.py has its listener make them.
Limits: those of http_connection.py; `most` of one client address, and the next ones are closed at once.
Never: a 5xx; anything of what came in the answer to it.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final, cast

from aiohttp import web
from msgspec import Struct

from bidder.metrics import Tally
from bidder.web.callers import NOBODY, Callers
from bidder.web.headers import SERVER
from bidder.web.http_connection import HttpConnection

MAX_LINE: Final = 16_384  # a TC string of a large consent platform and a GPP string in one query

_log = logging.getLogger(__name__)


class OpenConnections(Struct, frozen=True):
    """Connections that are open, by caller; only those of more than none."""

    counts: dict[bytes, int]
    most: int
    callers: Callers
    headers: Mapping[str, str]
    """Of every answer."""

    def join(self, address: bytes) -> bool:
        """Count one more; False, and nothing is counted, where there are too many."""
        count = self.counts.get(address, 0)
        if count >= self.most:
            return False
        self.counts[address] = count + 1
        return True

    def leave(self, address: bytes) -> None:
        """One that joined is gone."""
        count = self.counts[address] - 1
        if count:
            self.counts[address] = count
        else:
            del self.counts[address]


class PublicConnection(HttpConnection):
    """One connection; what is no HTTP gets a documented answer, too, and nothing of it back."""

    __slots__ = ("_address", "_open", "_tally")

    def __init__(self, server: web.Server, lingering_s: float, tally: Tally, open_: OpenConnections) -> None:
        super().__init__(server, lingering_s, max_line_size=MAX_LINE)
        self._tally, self._open = tally, open_
        self._address = NOBODY  # not counted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected; one too many of an address is closed again."""
        address = self._open.callers.of_peer(transport.get_extra_info("peername"))
        if address and not self._open.join(address):
            self._tally.count("paceline_public_refused_total")
            cast(asyncio.Transport, transport).abort()
            return
        self._address = address
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The end of it, whoever wanted it."""
        if self._address:
            self._open.leave(self._address)
            self._address = NOBODY
        super().connection_lost(exc)

    def overdue(self, *, begun: bool) -> None:
        """Browsers connect in advance: who never said a word is no sign of anything."""
        if begun:
            self._tally.count("paceline_public_slow_heads_total")
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp itself could not read (400), or what failed outside of every handler (404)."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun")
        ours = status >= 500 and not isinstance(exc, ConnectionError)  # who hung up is nobody's fault
        if ours:
            self._tally.count("paceline_public_faults_total")
            _log.error("the public port failed outside of a request", exc_info=exc)
        status = 404 if status >= 500 else status
        headers = {**self._open.headers, "Server": SERVER}
        response = web.Response(status=status, text="This is no call of HTTP.\n", headers=headers)
        response.force_close()
        self._tally.count("paceline_public_responses_total", str(status))
        return response


class Refusal(asyncio.Protocol):
    """A connection that is closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        cast(asyncio.Transport, transport).abort()  # uvloop's transports are no subclass of it
