"""What exchanges and their users' browsers call to learn whose id is whose.

Place: routes of the public port; shop/syncs and shop/matches decide, this file knows HTTP.
Paths: GET|HEAD /sync/{exchange}?uid=...: 302 to the exchange's own sync URL, or a GIF; POST /v1/matches/{exchange}: one
    result for each line, 429 with Retry-After where it is to be sent again. What is wrong is a 400, 401, 404 or 415
    with {"error": ...}.
Shapes: an upload is signed: X-Paceline-Timestamp (seconds since the epoch), X-Paceline-Signature (HMAC-SHA256 over the
    timestamp, a dot and the body, in hexadecimal).
Limits: SYNC_QUERY characters, UPLOAD_BYTES of an upload.
Never: a redirect to anything that came with the call.
"""

from typing import Final

import msgspec
from aiohttp import web

from bidder.clock import Clock
from bidder.metrics import Tally
from bidder.notices.keys import Keyring
from bidder.shop import counts
from bidder.shop.intake import Refusal
from bidder.shop.matches import Line, Matches
from bidder.shop.receive import Busy
from bidder.shop.syncs import Syncs
from bidder.shop.tokens import check_signature, is_recent
from bidder.web.limits import forged
from bidder.web.routes import Route
from bidder.web.shop import answered, call_of, gif, later, wrong

SYNC_QUERY: Final = 8_192
UPLOAD_BYTES: Final = 1_048_576  # MAX_LINES lines with a consent string each

_encode: Final = msgspec.json.Encoder().encode


class Uploaded(msgspec.Struct, frozen=True):
    """The answer to an upload."""

    matched: int
    refused: int
    lines: list[Line]


def sync_routes(syncs: Syncs, matches: Matches, keyring: Keyring, tally: Tally, clock: Clock) -> list[Route]:
    """The routes of exchanges."""

    async def sync(request: web.Request) -> web.StreamResponse:
        return answered(await syncs.sync(request.match_info["exchange"], call_of(request)))

    async def upload(request: web.Request) -> web.StreamResponse:
        exchange = request.match_info["exchange"]
        if not syncs.knows(exchange):
            return wrong(404, "exchange: unknown")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return wrong(415, "a body is sent as it is, without Content-Encoding")
        body = await request.read()
        at = request.headers.get("X-Paceline-Timestamp", "")
        signature = request.headers.get("X-Paceline-Signature", "")
        if not is_recent(at, clock.now_s()) or not check_signature(keyring, exchange, at, signature, body):
            tally.count(counts.UPLOADS.name, exchange, "unsigned")
            return forged(request) or wrong(401, "the signature is not of this body, or not of this time")
        try:
            return _told(await matches.upload(exchange, body))
        except Refusal as refusal:
            return wrong(400, str(refusal))
        except Busy:
            return later()

    return [
        Route("GET", "/sync/{exchange}", sync, max_query=SYNC_QUERY),
        Route("HEAD", "/sync/{exchange}", gif, max_query=SYNC_QUERY),
        Route("POST", "/v1/matches/{exchange}", upload, max_body=UPLOAD_BYTES),
    ]


def _told(lines: list[Line]) -> web.Response:
    matched = sum(line.status == "matched" for line in lines)
    body = _encode(Uploaded(matched, len(lines) - matched, lines))
    return web.Response(body=body, content_type="application/json")
