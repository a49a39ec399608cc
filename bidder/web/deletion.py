"""The IAB's data deletion requests over HTTP: what we publish, and where requests are received.

Place: household gives public.py these routes; rights/deletion judges, rights/requests carries out.
Paths: GET /dsrdelete.json (belongs to the root of our domain), GET /dsr/jwks.json; POST /dsr takes a rqJWT: as it is
    (application/jwt, text/plain), as a JSON string, or as the member `rqJWT` of a JSON object. The answer is JSON
    {"acJWT": ...} and 202, or 400.
Rule: a request is kept before it is acknowledged; where the store is away it is not, and the answer is 400 with the
    code of an unknown error: it may be sent again.
Limits: MAX_BODY; MAX_JUDGED requests at once, beyond it 429; one task carries out what was accepted.
Never: a 5xx.
"""

import asyncio
import logging
from typing import Any, Final

import msgspec
from aiohttp import web
from redis.exceptions import RedisError

from bidder.clock import Clock
from bidder.rights.deletion import MAX_JWT, Office, dsrdelete
from bidder.rights.requests import Desk
from bidder.rights.signing import POLL_S, SigningKeys
from bidder.web.routes import Route

MAX_BODY: Final = MAX_JWT + 1_024
MAX_JUDGED: Final = 16
_PUBLIC: Final = {"Cache-Control": "public, max-age=3600", "Access-Control-Allow-Origin": "*"}
_log = logging.getLogger(__name__)


class Deletions:
    """The handlers of one worker."""

    def __init__(self, office: Office, desk: Desk, keys: SigningKeys, base_url: str, clock: Clock) -> None:
        self._office, self._desk, self._clock = office, desk, clock
        self._file = msgspec.json.encode(dsrdelete(base_url, keys, POLL_S))
        self._keys = msgspec.json.encode({"keys": keys.published(), "pollFrequency": POLL_S})
        self._judging = 0
        self._working: asyncio.Task[None] | None = None

    async def file(self, request: web.Request) -> web.StreamResponse:
        """dsrdelete.json."""
        return web.Response(body=self._file, content_type="application/json", headers=_PUBLIC)

    async def keys(self, request: web.Request) -> web.StreamResponse:
        """Our public keys."""
        return web.Response(body=self._keys, content_type="application/json", headers=_PUBLIC)

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """A request."""
        if self._judging >= MAX_JUDGED:
            return web.Response(status=429, headers={"Retry-After": "5"})
        self._judging += 1
        try:
            answer = await self._office.receive(_jwt_of(await request.read()))
            if answer.accepted is not None and await self._desk.accept(answer.accepted):
                self._work()
            return _said(answer.status, answer.acknowledgement)
        except (RedisError, OSError) as error:
            _log.warning("a deletion request could not be kept: %s", type(error).__name__)
            return _said(400, self._office.unknown())
        finally:
            self._judging -= 1

    async def close(self) -> None:
        """Let what is being carried out end."""
        if self._working is not None:
            await self._working

    def _work(self) -> None:
        """Carry out in the background; what comes meanwhile is taken along, or left to the caretaker."""
        if self._working is None or self._working.done():
            self._working = asyncio.get_running_loop().create_task(self._work_off())

    async def _work_off(self) -> None:
        try:
            while await self._desk.work_off(self._clock.now_s()):
                pass
        except (RedisError, OSError) as error:
            _log.warning("deletion requests wait, since the store is away: %s", type(error).__name__)


def deletion_routes(deletions: Deletions) -> list[Route]:
    """The routes of data deletion requests."""
    public = {"/dsrdelete.json": deletions.file, "/dsr/jwks.json": deletions.keys}
    routes = [Route(method, path, handler) for path, handler in public.items() for method in ("GET", "HEAD")]
    return [*routes, Route("POST", "/dsr", deletions.receive, max_body=MAX_BODY)]


def _jwt_of(body: bytes) -> str:
    """The rqJWT of a body; of what has none, a text that is none."""
    text = body.decode("ascii", "replace").strip()
    if not text.startswith(("{", '"')):
        return text
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return ""
    value = found.get("rqJWT", "") if isinstance(found, dict) else found
    return value if isinstance(value, str) else ""


def _said(status: int, acknowledgement: str) -> web.Response:
    return web.json_response({"acJWT": acknowledgement}, status=status)
