"""The requests of one connection as httptools reads them: heads, routes, bodies, refusals.

Place: the reading half of a Connection; httptools calls the `on_` methods while it is fed.
Limits: head and body by settings.ExchangePort; a head is counted as it would be spelled without spare blanks.
Source: RFC 9112 (framing; smuggling shapes are refused by llhttp's strict mode), RFC 9110 section 10.1.1
    (Expect), section 7.8 (an Upgrade that is declined is an ordinary request).
Never: writes.
"""

from collections import deque

from httptools import HttpRequestParser

from bidder.outcome import Outcome
from bidder.web import answers, bodies
from bidder.web.call import CLOSE, KEEP, KEEP_SAID, Call, Said, Turn
from bidder.web.port import Port, Target

IDLE, HEAD, BODY, ENDING = range(4)
"""Where a connection stands: between requests, in one, or after its last answer."""
_WATCHED = {6, 10, 14, 15, 16, 17}  # the lengths of the header names in _watch
_VERSIONS = ("1.0", "1.1")
_FIXED_HEAD_BYTES = 18  # of a POST, beside target and fields: method, version, two blanks, two line ends


class Refused(Exception):
    """Stops the parser: the connection was given its last answer."""


class RequestReader:
    """What httptools calls, and the state of the request being read."""

    __slots__ = (
        "_begun", "_body", "_coding", "_deaf", "_expects", "_gzip", "_head_bytes", "_length", "_loose_bytes",
        "_parser", "_port", "_refused", "_says_connection", "_stage", "_stage_ns", "_target", "_too_large",
        "_upgrade", "_url", "lost", "queue",
    )  # fmt: skip

    def __init__(self, port: Port) -> None:
        self._port = port
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self.queue: deque[Turn] = deque()
        self.lost = False
        self._deaf = False  # what still comes in is thrown away
        self._refused = False  # ... because it was refused, so more may well come
        self._stage = IDLE
        self._stage_ns = port.tick.arrival()
        self._begun = 0  # requests
        self._loose_bytes = 0  # read of the request that is not whole yet
        self._upgrade: bytes | None = None
        self._clear()

    def release(self) -> None:
        """Send every answer that is next in order."""
        raise NotImplementedError

    def _clear(self) -> None:
        self._url = b""
        self._body: bytes | bytearray = b""
        self._head_bytes = 0
        self._length = b""
        self._target: Target | None = None
        self._coding = bodies.IDENTITY
        self._gzip = self._expects = self._too_large = self._says_connection = False

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        if self._upgrade is None:
            self._clear()
        self._begun += 1
        self._loose_bytes = 0
        self._stage = HEAD
        self._stage_ns = self._port.tick.now_ns

    def on_url(self, url: bytes) -> None:
        """The request target, or a piece of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field, or a trailer."""
        size = len(name)
        self._head_bytes += size + len(value) + 4
        if size in _WATCHED and self._stage == HEAD:
            self._watch(name.lower(), value)

    def _watch(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._length = b"Content-Length: " + value
            if (
                len(value) >= self._port.length_digits
                and int(value.lstrip(b"0") or b"0") > self._port.limits.max_body_bytes
            ):
                self._too_large = True
        elif name == b"content-encoding":
            code = bodies.coding(value)
            self._coding = code if self._coding == bodies.IDENTITY else bodies.UNKNOWN
        elif name == b"accept-encoding":
            self._gzip = bodies.accepts_gzip(value)
        elif name == b"connection":
            self._says_connection = True
        elif name == b"transfer-encoding":
            self._length = b"Transfer-Encoding: " + value
        elif name == b"expect":
            self._expects = value.strip().lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """The head is whole: what can be refused already is."""
        port = self._port
        self._stage = BODY
        self._stage_ns = port.tick.now_ns
        self._target = port.targets.get(self._url) or port.target(self._url)
        if self._head_bytes + len(self._url) + _FIXED_HEAD_BYTES > port.limits.max_head_bytes:
            self._stop(Outcome.HEAD_TOO_LARGE)
        if self._too_large:
            self._stop(Outcome.BODY_TOO_LARGE)
        self._upgrade = None
        if self._says_connection or self._expects:
            self._special()

    def _special(self) -> None:
        assert self._parser is not None
        if self._parser.should_upgrade():
            self._upgrade = b"" if self._parser.should_keep_alive() else b"Connection: close\r\n"
        elif self._expects and self._parser.get_http_version() == "1.1":
            refusal = self._refusal()
            if refusal is not None:
                self._refuse(*refusal)
                raise Refused
            self._enqueue(Said((self, KEEP, 0, None), Outcome.BID, answers.CONTINUE))

    def on_body(self, part: bytes) -> None:
        """A piece of the body."""
        body = self._body
        if not body:
            self._body = body = part
        else:
            if isinstance(body, bytes):
                self._body = body = bytearray(body)
            body += part
        if len(body) > self._port.limits.max_body_bytes:
            self._stop(Outcome.BODY_TOO_LARGE)

    def on_message_complete(self) -> None:
        """The request is whole."""
        parser, port, target = self._parser, self._port, self._target
        assert parser is not None
        if self._upgrade is not None:
            return
        mode = KEEP
        if not parser.should_keep_alive():
            mode = CLOSE
            if parser.get_http_version() not in _VERSIONS:
                self._stop(Outcome.BAD_HTTP)
            self._deaf = True
        elif self._says_connection and parser.get_http_version() == "1.0":
            mode = KEEP_SAID
        self._stage = IDLE
        if target is None or target.profile is None or self._coding == bodies.UNKNOWN or not self._is_post():
            self._answer_here(mode)
            return
        counts = target.counts
        call = Call((self, mode, port.tick.now_ns, counts), target.profile, bytes(self._body))
        call.coding = self._coding
        call.gzip = self._gzip and target.profile.gzip_answers
        port.cells[counts.requests] += 1
        self.queue.append(call)
        port.tick.add(call)

    def _is_post(self) -> bool:
        assert self._parser is not None
        return bool(self._parser.get_method() == b"POST")

    def _refusal(self) -> tuple[Outcome, answers.Reply] | None:
        """Why the head alone rules a request out; None: it does not."""
        assert self._parser is not None
        method = self._parser.get_method()
        if self._target is None:
            return Outcome.NOT_FOUND, answers.NOT_FOUND
        if self._target.profile is None:
            return None if method in (b"GET", b"HEAD") else (Outcome.METHOD, answers.ONLY_GET)
        if method != b"POST":
            return Outcome.METHOD, answers.ONLY_POST
        if self._coding == bodies.UNKNOWN:
            return Outcome.ENCODING, answers.EMPTY[Outcome.ENCODING]
        return None

    def _stop(self, outcome: Outcome) -> None:
        self._refuse(outcome)
        raise Refused

    def _answer_here(self, mode: int) -> None:
        """Answer what needs no decider: the ready check, and what no decider may see."""
        assert self._parser is not None
        method = self._parser.get_method()
        if method == b"CONNECT":
            mode = CLOSE
            self._deaf = True
        refusal = self._refusal()
        if refusal is not None:
            self._queue_said(mode, *refusal)
            return
        port = self._port
        cell = port.port_cells.ready if port.ready else port.port_cells.not_ready
        port.cells[cell] += 1
        reply = (answers.READY if port.ready else answers.NOT_READY)[method == b"HEAD"]
        self._enqueue(Said((self, mode, 0, None), Outcome.BID, reply))

    def _refuse(self, outcome: Outcome, reply: answers.Reply | None = None) -> None:
        """Give the client its last answer, after those that it still waits for."""
        self._deaf = self._refused = True
        self._queue_said(CLOSE, outcome, reply or answers.EMPTY[outcome])

    def _queue_said(self, mode: int, outcome: Outcome, reply: answers.Reply) -> None:
        known = self._target if self._stage != HEAD and self._begun else None
        counts = known.counts if known else self._port.none
        self._port.cells[counts.requests] += 1
        self._enqueue(Said((self, mode, self._stage_ns, counts), outcome, reply))

    def _enqueue(self, turn: Said) -> None:
        self.queue.append(turn)
        self.release()
