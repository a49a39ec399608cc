"""GET /events: the state of the service as server-sent events, one a second, to a few who watch.

Place: console.py's routes on the operators' port.
Shapes: `event: history` once, a JSON list of points; then a message a second, the JSON of a State; a comment as a
    heartbeat where there is none. No ids: whoever comes again begins anew.
Rule: looks are taken in a thread, for all who watch together, and for LINGER_S after the last one left, so that a page
    which is loaded again has its history. A look that takes long is taken less often, down to one in PERIOD_MAX_S: it
    costs a tenth of a core at most until then.
Limits: MAX_WATCHERS, and MAX_EACH of one token's name, or of one address where no token is needed (503 beyond); of a
    reader who is slow the newest state alone waits, and one who takes nothing for SLOW_S is dropped; SEND_BUFFER bytes
    wait in the kernel for each.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections import Counter
from typing import Final

import msgspec
from aiohttp import web

from bidder.clock import Clock
from bidder.console.shapes import State
from bidder.console.state import View
from bidder.web.access import Access, Refused
from bidder.web.ops import refused
from bidder.web.roles import Holder

MAX_WATCHERS: Final = 16
MAX_EACH: Final = 8
PERIOD_S: Final = 1.0
PERIOD_MAX_S: Final = 4.0
COST_SHARE: Final = 0.1
HEARTBEAT_S: Final = 5.0
SLOW_S: Final = 10.0
LINGER_S: Final = 120.0
SEND_BUFFER: Final = 65_536

_BEAT: Final = b": beat\n\n"
_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class Feed:
    """Looks, and tells those who watch."""

    def __init__(self, view: View, access: Access, clock: Clock) -> None:
        self._view, self._access, self._clock = view, access, clock
        self._watching: Counter[str | bytes] = Counter()
        self._latest = b""
        self._news = asyncio.Event()  # replaced with each state
        self._looking: asyncio.Task[None] | None = None
        self._left_s = 0.0
        self._closing = False

    @property
    def watchers(self) -> int:
        """How many watch now."""
        return self._watching.total()

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Watch until either side ends it."""
        found = self._access.looker(request, token=self._access.settings.page_token)
        if isinstance(found, Refused):
            return refused(found)
        whose = found.name if found else self._access.caller_of(request)
        if self.watchers >= MAX_WATCHERS or self._watching[whose] >= MAX_EACH:
            text = f"{MAX_WATCHERS} watch already, or {MAX_EACH} of yours\n"
            return web.Response(status=503, text=text, headers={"Retry-After": "10"})
        self._watching[whose] += 1
        try:
            self._begin()
            return await self._tell(request, found)
        finally:
            self._watching -= Counter((whose,))
            self._left_s = time.monotonic()

    async def close(self, app: web.Application) -> None:
        """Send everybody away."""
        self._closing = True
        self._news.set()
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking

    def _begin(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        """Once a second, until nobody has watched for LINGER_S."""
        while self.watchers or time.monotonic() - self._left_s < LINGER_S:
            began_s = time.monotonic()
            try:
                state, cost_s = await asyncio.to_thread(self._timed)
                self._publish(b"data: " + _encode(state) + b"\n\n")
            except Exception:
                _log.exception("the operator's page has no news")
                cost_s = 0.0
            pause_s = max(PERIOD_S, min(cost_s / COST_SHARE, PERIOD_MAX_S))
            await asyncio.sleep(max(0.0, pause_s - (time.monotonic() - began_s)))

    def _timed(self) -> tuple[State, float]:
        """A look, and the CPU time that it took: what a busy machine makes it wait for is no cost."""
        began_s = time.thread_time()
        return self._view.look(self._clock.now_s()), time.thread_time() - began_s

    def _publish(self, message: bytes) -> None:
        self._latest = message
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _tell(self, request: web.Request, holder: Holder | None) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        if request.transport is not None:
            plain: socket.socket = request.transport.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        history = b"event: history\ndata: " + _encode(list(self._view.history)) + b"\n\n"
        try:
            await self._send(response, history)
            while not self._closing and self._access.open_still(request, holder):
                await self._send(response, await self._next())
        except (ConnectionError, TimeoutError):
            if request.transport is not None:  # what could not be sent is not waited for
                request.transport.abort()
        return response

    async def _next(self) -> bytes:
        """The next state; a heartbeat where there is none in time."""
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                await self._news.wait()
        except TimeoutError:
            return _BEAT
        return self._latest

    @staticmethod
    async def _send(response: web.StreamResponse, message: bytes) -> None:
        async with asyncio.timeout(SLOW_S):
            await response.write(message)
