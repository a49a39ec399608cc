"""A listening socket that takes every waiting connection in one turn of the event loop.

Place: the exchange port and the public port listen with it.
Limits: ACCEPTS_PER_TURN, so that a flood of connections cannot keep answers from leaving, or fewer where files are
    few; RETRY_S without accepting after the process ran out of files or memory; those of tls.py and handshakes.py for
    handshakes.
Source: uvloop 0.23 (libuv) accepts one connection per turn. A busy worker's turns take 10 ms and more: a fleet
    that reconnects would wait for seconds (measured: 2,000 connections at three times the capacity, 3 s).
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final

from bidder.web.callers import Callers
from bidder.web.handshakes import Handshakes
from bidder.web.sockets import let_nobody_new_in
from bidder.web.tls import HANDSHAKE_S, SHUTDOWN_S, PortTls

ACCEPTS_PER_TURN: Final = 256
RETRY_S: Final = 0.5
SETTLE_S: Final = 0.02
"""A client in the same data centre ends its handshake in a millisecond."""
_CALLERS: Final = Callers(())
_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

_log = logging.getLogger(__name__)


class Listener:
    """Accepts until closed; the socket belongs to it."""

    def __init__(
        self,
        sock: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        backlog: int,
        tls: PortTls | None = None,
        accepts: int = ACCEPTS_PER_TURN,
    ) -> None:
        """Listen on a bound socket from now on, `accepts` connections a turn at most; needs a running event loop."""
        self._sock, self._protocol, self._backlog, self._tls = sock, protocol, backlog, tls
        self._accepts = accepts
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._handshakes = Handshakes(tls.max_handshakes) if tls else Handshakes()
        self._retry: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        """Not about to close."""
        self._over.set()
        self.port: int = sock.getsockname()[1]
        sock.setblocking(False)
        sock.listen(backlog)
        self._loop.add_reader(sock.fileno(), self._accept, accepts)

    def _accept(self, most: int) -> None:
        for _ in range(most):
            try:
                accepted, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            accepted.setblocking(False)
            tls = self._tls
            if tls is None or tls.context is None:
                self._begin(accepted, self._open(accepted))
            else:
                self._greet(accepted, _CALLERS.of_peer(peer), tls, tls.context)

    def _begin(self, accepted: socket.socket, opening: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(opening)
        self._opening.add(task)
        task.add_done_callback(partial(self._opened, accepted))
        return task

    def _greet(self, accepted: socket.socket, caller: bytes, tls: PortTls, context: ssl.SSLContext) -> None:
        given_up = self._handshakes.oldest_over(caller)
        if given_up is not None:
            tls.failed("busy")
            given_up.cancel()
        task = self._begin(accepted, self._shake_hands(accepted, tls, context))
        self._handshakes.join(caller, task)
        task.add_done_callback(partial(self._handshakes.leave, caller))

    async def _open(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, accepted)
        except OSError:  # it hung up already
            accepted.close()

    async def _shake_hands(self, accepted: socket.socket, tls: PortTls, context: ssl.SSLContext) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol,
                accepted,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        except OSError as error:  # both loops abort what takes too long
            tls.failed("slow" if isinstance(error, ConnectionAbortedError) else "failed")
            accepted.close()

    def _opened(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        if task.cancelled():
            accepted.close()

    def _pause(self, error: OSError) -> None:
        if error.errno not in _EXHAUSTED:
            _log.error("accepting failed: %s", error)
        else:
            _log.error("no connection can be accepted for %.1f s: %s", RETRY_S, error)
        self._loop.remove_reader(self._sock.fileno())
        self._retry = self._loop.call_later(RETRY_S, self._resume)

    def _resume(self) -> None:
        self._retry = None
        self._loop.add_reader(self._sock.fileno(), self._accept, self._accepts)

    def close(self) -> None:
        """Let nobody new in, take who is there, a moment later those who were on their way, then listen no more:
        closing would reset them. `opened` waits for it."""
        if self._sock.fileno() < 0 or self._closing is not None:
            return
        self._over.clear()
        let_nobody_new_in(self._sock)
        self._take_all()
        self._closing = self._loop.call_later(SETTLE_S, self._end)

    def _end(self) -> None:
        self._take_all()
        self._stop()

    def _take_all(self) -> None:
        if self._retry is None:
            self._accept(self._backlog)

    def leave(self) -> None:
        """Listen no more, and leave what waits to the others who have this socket."""
        self._stop()

    async def opened(self) -> None:
        """Wait until it is closed, where it is to be, and all that was accepted has its protocol."""
        await self._over.wait()
        while self._opening:
            await asyncio.wait(tuple(self._opening))

    def abort(self) -> None:
        """Listen no more, and give up what is still being opened."""
        self._stop()
        for task in self._opening:
            task.cancel()

    def _stop(self) -> None:
        self._over.set()
        if self._closing is not None:
            self._closing.cancel()
        if self._retry is not None:
            self._retry.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
