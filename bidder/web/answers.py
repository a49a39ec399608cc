"""Every answer of the exchange port as bytes, built once.

Place: connections and calls send them.
Shapes: a Reply holds one whole answer for each way a connection goes on: keep, close, keep said aloud
    (HTTP/1.0 clients close unless they are told).
Limits: GZIP_FROM_BYTES.
Source: Xandr's ready check wants a `1` in the body when ready and none when not.
"""

from bidder.outcome import Outcome
from bidder.web.bodies import deflate

Reply = tuple[bytes, bytes, bytes]

GZIP_FROM_BYTES = 1_400
"""An answer that fits one Ethernet frame arrives no earlier for being compressed."""

_NOSNIFF = b"X-Content-Type-Options: nosniff\r\n"
"""On answers with a body, which repeats ids of the request: no browser that was made to ask shows a page of it."""
_CONNECTION = (b"", b"Connection: close\r\n", b"Connection: keep-alive\r\n")


def _reply(status: bytes, fields: bytes = b"", body: bytes | None = b"") -> Reply:
    length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
    heads = [b"HTTP/1.1 " + status + b"\r\n" + fields + length + said + b"\r\n" for said in _CONNECTION]
    keep, close, said = (head + (body or b"") for head in heads)
    return keep, close, said


NO_CONTENT = _reply(b"204 No Content", body=None)
NOT_FOUND = _reply(b"404 Not Found")
ONLY_POST = _reply(b"405 Method Not Allowed", b"Allow: POST\r\n")
ONLY_GET = _reply(b"405 Method Not Allowed", b"Allow: GET, HEAD\r\n")
CONTINUE: Reply = (b"HTTP/1.1 100 Continue\r\n\r\n",) * 3

_ERRORS: dict[Outcome, Reply] = {
    Outcome.NOT_FOUND: NOT_FOUND,
    Outcome.METHOD: ONLY_POST,
    Outcome.HEAD_TOO_LARGE: _reply(b"431 Request Header Fields Too Large"),
    Outcome.BODY_TOO_LARGE: _reply(b"413 Content Too Large"),
    Outcome.ENCODING: _reply(b"415 Unsupported Media Type", b"Accept-Encoding: gzip, deflate, identity\r\n"),
    Outcome.BAD_HTTP: _reply(b"400 Bad Request"),
    Outcome.MALFORMED: _reply(b"400 Bad Request"),
    Outcome.TIMEOUT: _reply(b"408 Request Timeout"),
}
EMPTY: tuple[Reply, ...] = tuple(_ERRORS.get(outcome, NO_CONTENT) for outcome in Outcome)
"""By outcome: what is sent when there is no body to send."""


def _ready(status: bytes, text: bytes) -> tuple[Reply, Reply]:
    whole = _reply(status, b"Content-Type: text/plain\r\nCache-Control: no-store\r\n" + _NOSNIFF, text)
    keep, close, said = (answer[: len(answer) - len(text)] for answer in whole)
    return whole, (keep, close, said)


READY = _ready(b"200 OK", b"1")
"""To GET and to HEAD."""
NOT_READY = _ready(b"503 Service Unavailable", b"not ready")

_BID = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-openrtb-version: 2.6\r\n" + _NOSNIFF
_PLAIN = tuple(_BID + said + b"Content-Length: %d\r\n\r\n%b" for said in _CONNECTION)
_GZIPPED = tuple(
    _BID + b"Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n" + said + b"Content-Length: %d\r\n\r\n%b"
    for said in _CONNECTION
)


def bid(body: bytes, mode: int, gzip: bool) -> bytes:
    """A 200 with a JSON body, compressed when `gzip` allows it and the body is long enough to gain."""
    if gzip and len(body) > GZIP_FROM_BYTES:
        body = deflate(body)
        return _GZIPPED[mode] % (len(body), body)
    return _PLAIN[mode] % (len(body), body)
