"""One connection of an exchange, from its first byte to its last.

Place: ExchangeServer makes one per accepted socket.
Shapes: `queue` holds what was read and not answered yet, in order: pipelined answers leave in the order of
    their requests, whenever each was decided.
Limits: those of settings.ExchangePort; SLICE_BYTES, LINGER_S, DECIDE_TIMEOUT_S.
"""

import asyncio
import logging
from collections import deque
from typing import cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from bidder.outcome import Outcome
from bidder.web import answers
from bidder.web.call import CLOSE, Call
from bidder.web.port import Port
from bidder.web.reader import BODY, ENDING, HEAD, IDLE, Refused, RequestReader

log = logging.getLogger(__name__)

SLICE_BYTES = 16_384
"""Read in one go; between slices the pipelining limit is looked at."""
LINGER_S = 2.0
"""After an answer that ends a connection early, how long its client may go on sending before it is cut:
closing at once would reset the connection and could take the answer with it."""
DECIDE_TIMEOUT_S = 5.0
"""A call that nobody answered for so long is our fault, and is ended: no exchange waits half as long."""


class Connection(RequestReader, asyncio.Protocol):
    """Reads requests, keeps their order, writes answers."""

    __slots__ = ("_ending", "_held", "_marked", "_parts", "_rest", "_transport", "_unread_ns")

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._parts: list[bytes] = []  # released, not written yet
        self._marked = False  # the tick knows that there is something to write
        self._ending = False  # the last answer was released
        self._held = False  # reading is paused
        self._rest = b""  # read, not parsed yet
        self._unread_ns = 0  # since when the client reads nothing

    # The socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected; one too many is closed again."""
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's are not its children
        port = self._port
        if len(port.connections) >= port.limits.max_connections:
            port.cells[port.port_cells.refused] += 1
            self._deaf = self._ending = True
            transport.close()
            return
        port.joined(self)
        port.cells[port.port_cells.accepted] += 1

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        tick = self._port.tick
        tick.received += len(data)
        if self._deaf:
            return
        tick.arrival()
        if len(data) > SLICE_BYTES or self._rest:
            self._rest += data
            self._feed_slices()
        else:
            self._feed(data)
            if len(self.queue) > self._port.limits.max_pipelined:
                self._hold()

    def _feed(self, data: bytes) -> None:
        again = self._parse(data)
        while again:
            again = self._parse(again)

    def _parse(self, data: bytes) -> bytes:
        """Feed the parser; returns what has to be fed after a declined upgrade, mostly nothing."""
        begun, stage = self._begun, self._stage
        upgraded_at = -1
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            upgraded_at = upgrade.args[0]
        except HttpParserError as error:
            self._broken(error)
        if upgraded_at >= 0:
            return self._without_upgrade(data[upgraded_at:])
        if self._stage != IDLE and not self._deaf:
            self._unfinished(len(data) if begun + (stage == IDLE) >= self._begun else 0)
        return b""

    def _without_upgrade(self, rest: bytes) -> bytes:
        """The request without its wish to upgrade, for a new parser: llhttp has left its body unread."""
        if self._deaf or self._upgrade is None:  # CONNECT was answered already
            return b""
        assert self._parser is not None
        length = self._length + b"\r\n" if self._length else b""
        line = self._parser.get_method() + b" " + self._url + b" HTTP/1.1\r\n"
        self._url = b""
        self._parser = HttpRequestParser(self)
        return line + length + self._upgrade + b"\r\n" + rest

    def _broken(self, error: HttpParserError) -> None:
        cause = error.__context__
        if isinstance(error, HttpParserCallbackError) and not isinstance(cause, Refused):
            log.error("reading a request failed", exc_info=cause)
        if not self._deaf:
            self._refuse(Outcome.BAD_HTTP)

    def _feed_slices(self) -> None:
        rest, self._rest = self._rest, b""
        for at in range(0, len(rest), SLICE_BYTES):
            if self._deaf:
                return
            if len(self.queue) > self._port.limits.max_pipelined:
                self._rest = rest[at:]
                self._hold()
                return
            self._feed(rest[at : at + SLICE_BYTES])

    def _unfinished(self, read: int) -> None:
        self._loose_bytes += read
        beside = self._loose_bytes - len(self._body)
        most = self._port.limits.max_head_bytes
        if self._stage == HEAD and beside > most:
            self._refuse(Outcome.HEAD_TOO_LARGE)
        elif beside > 2 * most:  # as much again for the framing of chunks and trailers
            self._refuse(Outcome.BODY_TOO_LARGE)

    def _hold(self) -> None:
        if not self._held:
            self._held = True
            self._transport.pause_reading()

    def _go_on(self) -> None:
        if self._unread_ns or len(self.queue) > self._port.limits.max_pipelined // 2:
            return
        self._held = False
        self._stage_ns = self._port.tick.arrival()
        if self._rest:
            self._feed_slices()
        if not self._held and not self._transport.is_closing():
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The client reads too slowly: nothing more is read from it."""
        self._unread_ns = self._port.tick.arrival()
        self._hold()

    def resume_writing(self) -> None:
        """The client caught up."""
        self._unread_ns = 0
        if self._held:
            self._go_on()

    def eof_received(self) -> bool:
        """The client sends no more: it hung up, as exchanges do when they no longer wait for an answer."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: what it asked for is counted as such once it is decided."""
        self.lost = True
        self._port.left(self)
        if self._stage in (HEAD, BODY) and not self._deaf:
            self._queue_said(CLOSE, Outcome.DISCONNECTED, answers.NO_CONTENT)
        for turn in self.queue:
            if turn.outcome is not None:
                turn.outcome = Outcome.DISCONNECTED
        self.release()
        self._stage = ENDING
        self._parser = None  # it holds our methods: without this the two would keep each other alive

    # Answers

    def release(self) -> None:
        """Send every answer that is next in order, when the tick ends."""
        queue, tick = self.queue, self._port.tick
        if self.lost:
            tick.settled.extend(turn for turn in queue if turn.outcome is not None)
            self.queue = deque(turn for turn in queue if turn.outcome is None)
        while queue and queue[0].outcome is not None and not self.lost:
            turn = queue.popleft()
            mode = turn.mode
            if not queue and tick.draining and self._stage == IDLE and not self._rest:
                mode = CLOSE
            self._parts.append(turn.wire(mode))
            tick.settled.append(turn)
            if mode == CLOSE:
                self._deaf = self._ending = True
        if not self._marked:
            self._marked = True
            tick.mark(self)

    def send(self) -> int:
        """Write what was released, in one piece; returns its bytes."""
        self._marked = False
        parts = self._parts
        if self.lost or not parts or self._transport.is_closing():
            return 0
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._transport.write(data)
        if self._ending:
            self._end()
        elif self._held:
            self._go_on()
        return len(data)

    def _end(self) -> None:
        transport = self._transport
        self._stage = ENDING
        self._stage_ns = self._port.tick.arrival()
        if self._refused and transport.can_write_eof():
            transport.write_eof()
            if self._held:
                transport.resume_reading()
        else:
            transport.close()

    # Time

    def abort(self) -> None:
        """Cut the connection; what was not written is lost."""
        self._transport.abort()

    def sweep(self, now_ns: int, idle_s: float) -> None:
        """Cut what is too slow; called about once a second."""
        limits, port = self._port.limits, self._port
        waited_s = (now_ns - self._stage_ns) / 1e9
        if self._stage == ENDING:
            if waited_s > LINGER_S:
                self._transport.abort()
        elif self._unread_ns:
            if (now_ns - self._unread_ns) / 1e9 > limits.body_timeout_s:
                port.cells[port.port_cells.cut_unread] += 1
                self._transport.abort()
        elif self._held or self._deaf:
            pass
        elif self._stage == IDLE:
            if not self.queue and waited_s > idle_s:
                port.cells[port.port_cells.cut_idle] += 1
                self._transport.close()
        elif waited_s > (limits.head_timeout_s if self._stage == HEAD else limits.body_timeout_s):
            self._refuse(Outcome.TIMEOUT)
        if self.queue and (now_ns - self.queue[0].received_ns) / 1e9 > DECIDE_TIMEOUT_S:
            self._give_up(now_ns)

    def _give_up(self, now_ns: int) -> None:
        for turn in list(self.queue):
            late = (now_ns - turn.received_ns) / 1e9 > DECIDE_TIMEOUT_S
            if late and isinstance(turn, Call) and turn.outcome is None:
                log.error("a call to exchange %s was not answered in time", turn.profile.name)
                turn.answer(Outcome.FAULT)
