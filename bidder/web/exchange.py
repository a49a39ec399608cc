"""The exchange port: HTTP/1.1 for bid requests, decided a batch at a time.

Place: app starts one per worker on a shared port and connects `decide` to the auction.
Shapes: bytes -> Connection (httptools) -> Tick -> decide(batch of Call) -> Call.answer -> bytes.
    POST /bid/{exchange}: 200, 204, 400, 413, 415; GET, HEAD /ready: 200 `1` or 503; else 404, 405; 431, 408.
Limits: settings.ExchangePort holds them all; SWEEP_S, DRAIN_QUIET_S, BACKLOG.
Never: answers 5xx to a bid request, or rejects one for its Content-Type.
"""

import asyncio
import socket
from collections.abc import Iterable

from bidder.clock import Clock
from bidder.exchanges import Exchange
from bidder.metrics import Tally
from bidder.settings import ExchangePort
from bidder.web.admission import Admission
from bidder.web.call import Call, Deciders
from bidder.web.connection import Connection
from bidder.web.counts import METRICS
from bidder.web.listener import ACCEPTS_PER_TURN, Listener
from bidder.web.port import Port
from bidder.web.sockets import shared_socket
from bidder.web.tick import Tick
from bidder.web.tls import PortTls

__all__ = ("METRICS", "Call", "Deciders", "ExchangeServer")

SWEEP_S = 1.0
"""How often slow and idle connections are looked for; time-outs are late by at most this."""
DRAIN_QUIET_S = 1.0
"""A connection silent for so long while draining is closed; a busier one is told by its next answer."""
_DRAIN_SWEEP_S = 0.05
BACKLOG = 4_096  # connections that wait to be accepted: a fleet of exchange servers reconnects at once


class ExchangeServer:
    """Listens for exchanges."""

    def __init__(
        self, config: ExchangePort, profiles: Iterable[Exchange], decide: Deciders, tally: Tally, clock: Clock
    ) -> None:
        """Needs a running event loop; `decide` gets every batch."""
        self._config = config
        self._clock = clock
        admission = Admission(config.max_in_flight, int(config.tick_budget_ms * 1e6))
        self._tick = Tick(decide, tally, clock, admission, config.max_inflated_bytes)
        self._port = Port(config, tuple(profiles), tally, self._tick)
        self._listener: Listener | None = None
        self._timer: asyncio.TimerHandle | None = None
        timeouts = (config.head_timeout_s, config.body_timeout_s, config.idle_timeout_s)
        self._sweep_s = min(SWEEP_S, *(timeout / 4 for timeout in timeouts))

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        assert self._listener is not None, "started"
        return self._listener.port

    @property
    def in_flight(self) -> int:
        """Calls handed over whose answers have not been sent."""
        return self._tick.in_flight

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._port.connections)

    async def empty(self) -> None:
        """Wait until no connection is open."""
        await self._port.empty.wait()

    async def start(
        self,
        sock: socket.socket | None = None,
        tls: PortTls | None = None,
        accepts: int = ACCEPTS_PER_TURN,
    ) -> None:
        """Listen: on a bound socket, or on the configured host and port, shared with other workers; `accepts`
        connections are taken in one turn of the loop.

        Raises OSError when the address cannot be had.
        """
        if sock is None:
            sock = shared_socket(self._config.host, self._config.port)
        self._listener = Listener(sock, self._connection, BACKLOG, tls, accepts)
        self._timer = asyncio.get_running_loop().call_later(self._sweep_s, self._sweep)

    def set_ready(self, ready: bool) -> None:
        """What /ready says from now on; a server starts not ready."""
        self._port.ready = ready

    def spent(self, spent_ns: int) -> None:
        """Tell the time that deciders used after `decide` returned: admission counts it as cost."""
        self._tick.spent(spent_ns)

    def flush(self) -> None:
        """Send what was answered now, rather than at the end of this turn of the event loop."""
        self._tick.flush()

    async def drain(self, timeout_s: float | None = None, *, succeeded: bool = False) -> bool:
        """Stop accepting, answer all that is in, tell keep-alive clients to close; True when all are gone.

        What is left after `timeout_s` (default: drain_timeout_s) is cut. `succeeded`: another process accepts from the
        same socket, so what waits there is left to it, and /ready goes on saying yes.
        """
        self._port.ready &= succeeded
        self._tick.draining = True
        if self._listener is not None:
            if succeeded:
                self._listener.leave()
            else:
                self._listener.close()
        self._sweep()
        try:
            async with asyncio.timeout(self._config.drain_timeout_s if timeout_s is None else timeout_s):
                if self._listener is not None:
                    await self._listener.opened()
                await self._port.empty.wait()
        except TimeoutError:
            return False
        finally:
            await self.close()
        return True

    async def close(self) -> None:
        """Stop at once: every connection is cut."""
        if self._timer is not None:
            self._timer.cancel()
        if self._listener is not None:
            self._listener.abort()
        for connection in tuple(self._port.connections):
            connection.abort()
        await self._port.empty.wait()
        self._tick.flush()
        self._tick.gauges(0)

    def _connection(self) -> Connection:
        return Connection(self._port)

    def _sweep(self) -> None:
        """Look for slow and idle connections; more often, and less patiently, while draining."""
        if self._timer is not None:
            self._timer.cancel()
        draining = self._tick.draining
        idle_s = self._config.idle_timeout_s
        self._look(min(DRAIN_QUIET_S, idle_s) if draining else idle_s)
        again_s = min(_DRAIN_SWEEP_S, self._sweep_s) if draining else self._sweep_s
        self._timer = asyncio.get_running_loop().call_later(again_s, self._sweep)

    def _look(self, idle_s: float) -> None:
        now_ns = self._clock.monotonic_ns()
        for connection in tuple(self._port.connections):
            connection.sweep(now_ns, idle_s)
        self._tick.gauges(len(self._port.connections))
