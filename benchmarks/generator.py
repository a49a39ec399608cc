"""The load generator's engine: keep-alive connections on one selector, prepared bytes, minimal parsing.

Place: load.py and bench.py run it; arrivals.py says when to send.
Limits: one request in flight per connection; answers need a Content-Length (or 204); loopback only. A connection
    that is not made within CONNECT_S has failed.
Source: 25,000 requests a second from one core: no event loop, no future, no header dictionary per request.
    It sleeps until a tenth of a millisecond before the next due time, then polls: above 10,000 requests a second it
    wants a core of its own.
"""

from __future__ import annotations

import errno
import ipaddress
import re
import select
import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct, field

from benchmarks.arrivals import NANOSECONDS, Arrivals

_READ_BYTES: Final = 262_144
_SLEEP_MARGIN_NS: Final = 100_000  # the kernel wakes sleepers some 50 us late
_IDLE_WAIT_S: Final = 0.05
_SWEEP_NS: Final = 100_000_000
CONNECT_S: Final = 3.0
"""Loopback answers at once; where a backlog is full the kernel asks again after 1 s, and again after 2 s more."""
_UNDER_WAY: Final = frozenset({0, errno.EINPROGRESS})
_LENGTH: Final = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *([0-9]+)\r\n")
_CLOSE: Final = re.compile(rb"\r\n[Cc]onnection: *close\r\n")


class Prepared(NamedTuple):
    """One request as bytes, and how long its exchange would wait."""

    wire: bytes
    tmax_ns: int


class Result(Struct):
    """What came of a run; requests of the warm-up are in none of the counts."""

    arrivals: Arrivals
    statuses: Counter[str]
    """By HTTP status; `reset`, `timeout` and `garbled` for what was no answer."""
    late: int = 0
    """Answers that came later than their tmax after they were due."""
    unsent: int = 0
    elapsed_s: float = 0.0
    connects: Counter[str] = field(default_factory=Counter)
    """Connections opened since the start by what became of them: `made`; or failed: `refused`, `timeout` and, where one
    ended before its first answer, `reset`."""

    @property
    def failed_connects(self) -> int:
        """Connections on which nothing was ever answered."""
        return sum(n for fate, n in self.connects.items() if fate != "made")

    @property
    def errors(self) -> int:
        """Everything that is neither 200 nor 204, and what could not be sent."""
        return self.unsent + sum(n for status, n in self.statuses.items() if status not in ("200", "204"))

    @property
    def answered(self) -> int:
        """Answers of any status."""
        return sum(n for status, n in self.statuses.items() if status.isdigit())

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answered / self.elapsed_s if self.elapsed_s else 0.0


class _Connection:
    """A socket, what it waits for, and since when."""

    __slots__ = ("answered", "buffer", "connecting", "due_ns", "sent_ns", "sock", "tmax_ns", "unsent")

    def __init__(self, address: tuple[str, int], now_ns: int) -> None:
        """Begin to connect; raises OSError where that fails at once."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = self.sock.connect_ex(address)
        if number not in _UNDER_WAY:
            self.sock.close()
            raise OSError(number, errno.errorcode.get(number, ""))
        self.connecting, self.answered = True, False
        self.buffer = b""
        self.unsent = b""
        self.due_ns = self.tmax_ns = 0
        self.sent_ns = now_ns


class Generator:
    """Drives connections through one run: `run(arrivals)`."""

    def __init__(
        self,
        address: tuple[str, int],
        requests: Sequence[Prepared],
        connections: int,
        timeout_s: float = 5.0,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        """Raises OSError where nobody listens, ValueError for another machine."""
        _demand_loopback(address[0])
        self._address, self._requests = (socket.gethostbyname(address[0]), address[1]), requests
        self._timeout_ns = int(timeout_s * NANOSECONDS)
        self._clock_ns = clock_ns
        self._selector = selectors.DefaultSelector()
        self._wanted = connections
        self._idle: deque[_Connection] = deque()
        """Taken in turn, so that every process that accepted some has its part of the load."""
        self._busy: set[_Connection] = set()
        self._opening: set[_Connection] = set()
        self._connects: Counter[str] = Counter()
        self._next = 0
        self._stopping = False
        socket.create_connection(self._address, timeout=CONNECT_S).close()
        for _ in range(connections):
            self._open()

    def close(self) -> None:
        """Close every connection."""
        for connection in (*self._idle, *self._busy, *self._opening):
            connection.sock.close()
        self._idle.clear()
        self._busy.clear()
        self._opening.clear()
        self._selector.close()

    def stop(self, *_: object) -> None:
        """End the run under way as if its time were over; may be called from a signal."""
        self._stopping = True

    def run(
        self,
        arrivals: Arrivals,
        drain_s: float = 2.0,
        churn: float = 0.0,
        every: tuple[float, Callable[[Result], None]] | None = None,
    ) -> Result:
        """Send what falls due, until all is answered or `drain_s` after the end; returns the counts.

        `churn` is the share of the connections that are closed and opened anew each second; `every` is (seconds, who is
        shown the counts so often)."""
        result = Result(arrivals, Counter())
        self._connects = result.connects
        clock, swept_ns = self._clock_ns, arrivals.start_ns
        stop_ns = arrivals.end_ns + int(drain_s * NANOSECONDS)
        every_ns = int(every[0] * NANOSECONDS) if every else 0
        shown_ns, due_churn = arrivals.warm_ns, 0.0
        while True:
            now_ns = clock()
            if self._stopping:
                self._stopping = False
                arrivals.end_ns = min(arrivals.end_ns, now_ns)
                stop_ns = arrivals.end_ns + int(drain_s * NANOSECONDS)
            while self._idle and (due_ns := arrivals.take(now_ns)) is not None:
                self._send(self._idle.popleft(), due_ns, now_ns, result)
            if now_ns >= stop_ns or (arrivals.exhausted(now_ns) and not self._busy):
                break
            for key, events in self._ready(self._patience(arrivals, now_ns)):
                self._serve(key.data, events, result)
            if now_ns - swept_ns > _SWEEP_NS:
                due_churn += churn * self._wanted * (now_ns - swept_ns) / NANOSECONDS
                due_churn -= self._churn(int(due_churn))
                swept_ns = now_ns
                self._sweep(now_ns, result)
            if every and now_ns - shown_ns >= every_ns:
                shown_ns += every_ns
                every[1](result)
        result.unsent = arrivals.abandon(clock())
        result.elapsed_s = (clock() - arrivals.warm_ns) / NANOSECONDS
        for connection in list(self._busy):
            self._fail(connection, "timeout", result)
        return result

    def _ready(self, patience_s: float) -> list[tuple[selectors.SelectorKey, int]]:
        """What can be read or written, at the latest after a while; selectors alone sleep in whole milliseconds."""
        if patience_s > 0:
            select.select([self._selector.fileno()], [], [], patience_s)
        return self._selector.select(0)

    def _patience(self, arrivals: Arrivals, now_ns: int) -> float:
        """How long the selector may sleep, in seconds."""
        if not self._idle or arrivals.exhausted(now_ns):
            return _IDLE_WAIT_S
        return max(0.0, (arrivals.next_ns - now_ns - _SLEEP_MARGIN_NS) / NANOSECONDS)

    def _open(self) -> None:
        try:
            connection = _Connection(self._address, self._clock_ns())
        except OSError as error:
            self._connects[_fate(error.errno)] += 1
            return
        self._opening.add(connection)
        self._selector.register(connection.sock, selectors.EVENT_WRITE, connection)

    def _connected(self, connection: _Connection) -> None:
        """A connection is made, or has failed."""
        self._opening.discard(connection)
        number = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._connects[_fate(number)] += 1
            self._end(connection)
            return  # the next sweep tries again: not at once, where nobody listens
        connection.connecting = False
        self._connects["made"] += 1
        self._selector.modify(connection.sock, selectors.EVENT_READ, connection)
        self._idle.append(connection)

    def _churn(self, count: int) -> int:
        """Close idle connections, those that idle longest first, and open others; returns how many."""
        count = min(count, len(self._idle))
        for _ in range(count):
            self._end(self._idle.popleft())
            self._open()
        return count

    def _send(self, connection: _Connection, due_ns: int, now_ns: int, result: Result) -> None:
        request = self._requests[self._next]
        self._next = (self._next + 1) % len(self._requests)
        connection.due_ns, connection.sent_ns, connection.tmax_ns = due_ns, now_ns, request.tmax_ns
        self._busy.add(connection)
        self._write(connection, request.wire, result)

    def _write(self, connection: _Connection, data: bytes, result: Result) -> None:
        try:
            sent = connection.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._fail(connection, "reset", result)
            return
        waiting = sent < len(data)
        if waiting or connection.unsent:
            connection.unsent = data[sent:]
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if waiting else 0)
            self._selector.modify(connection.sock, events, connection)

    def _serve(self, connection: _Connection, events: int, result: Result) -> None:
        if connection.connecting:
            self._connected(connection)
            return
        if events & selectors.EVENT_WRITE and connection.unsent:
            self._write(connection, connection.unsent, result)
            return
        try:
            data = connection.sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._fail(connection, "reset", result)
            return
        data = connection.buffer + data if connection.buffer else data
        end = _length(data)
        if end is None or end > len(data):
            connection.buffer = data
        elif end != len(data) or connection not in self._busy:
            self._fail(connection, "garbled", result)
        else:
            self._finish(connection, data, result)

    def _finish(self, connection: _Connection, data: bytes, result: Result) -> None:
        connection.buffer, connection.answered = b"", True
        self._busy.discard(connection)
        now_ns = self._clock_ns()
        if result.arrivals.answered(connection.due_ns, connection.sent_ns, now_ns):
            result.statuses[data[9:12].decode("latin-1")] += 1
            result.late += now_ns - connection.due_ns > connection.tmax_ns
        if _CLOSE.search(data, 0, 2048):
            self._end(connection)
            self._open()
        else:
            self._idle.append(connection)

    def _fail(self, connection: _Connection, why: str, result: Result) -> None:
        """A connection ends that was not told to; nothing is lost where nothing was in flight."""
        if connection in self._busy:
            self._busy.discard(connection)
            if result.arrivals.answered(connection.due_ns, connection.sent_ns, self._clock_ns()):
                result.statuses[why] += 1
        elif why == "garbled":
            result.statuses[why] += 1
        if not connection.answered:
            result.connects[why if why == "timeout" else "reset"] += 1
            result.connects["made"] -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        self._end(connection)
        self._open()

    def _end(self, connection: _Connection) -> None:
        self._selector.unregister(connection.sock)
        connection.sock.close()

    def _sweep(self, now_ns: int, result: Result) -> None:
        for connection in [c for c in self._busy if now_ns - c.sent_ns > self._timeout_ns]:
            self._fail(connection, "timeout", result)
        for connection in [c for c in self._opening if now_ns - c.sent_ns > CONNECT_S * NANOSECONDS]:
            self._opening.discard(connection)
            result.connects["timeout"] += 1
            self._end(connection)
        for _ in range(self._wanted - len(self._idle) - len(self._busy) - len(self._opening)):
            self._open()


def _fate(number: int | None) -> str:
    """What became of a connection that the kernel reports as failed."""
    return {errno.ECONNREFUSED: "refused", errno.ETIMEDOUT: "timeout"}.get(number or 0, "reset")


def _length(data: bytes) -> int | None:
    """Bytes of the answer that `data` begins with; None while its head is incomplete."""
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    match = _LENGTH.search(data, 0, head_end + 2)
    return head_end + 4 + (int(match[1]) if match else 0)


def _demand_loopback(host: str) -> None:
    """Load is for our own machine only: raises ValueError for any other."""
    for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
        if not ipaddress.ip_address(info[4][0]).is_loopback:
            raise ValueError(f"{host} is not this machine: the generator sends load to loopback only")
