"""The operator's page, and the form that asks for a token where one is needed.

Place: service.py gives the operators' port these routes.
Paths: GET / the page, or the form; GET /console.js, /console.css and /console.svg what it is made of; GET /events its
    feed; POST /login token=...; POST /logout.
Rule: it loads nothing from elsewhere, runs nothing inline, and stands in no frame: the policy says so to the browser.
    It shows and changes nothing. A token that is posted is never kept: the cookie is a viewer's, for this session.
    The form is taken from our own page alone, by what the browser says of it: so that nobody is signed in unawares.
Limits: admin.MAX_BODY of a form.
"""

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from bidder.clock import Clock
from bidder.console.feed import Feed
from bidder.console.state import View
from bidder.metrics import Metric
from bidder.web.access import Access, Refusal, Refused, cookie_of
from bidder.web.admin import Admin, Ended, Undone, read_body
from bidder.web.exposition import Samples

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HERE: Final = Path(__file__).parent
_PAGE: Final = (_HERE / "console.html").read_text(encoding="utf-8")
_FORM: Final = (_HERE / "login.html").read_text(encoding="utf-8")
PARTS: Final = {
    "/console.js": ("text/javascript", (_HERE / "console.js").read_bytes()),
    "/console.css": ("text/css", (_HERE / "console.css").read_bytes()),
    "/console.svg": ("image/svg+xml", (_HERE / "console.svg").read_bytes()),
}
_WORDS: Final = {
    Refusal.UNAUTHENTICATED: "This token is not valid here, or no longer.",
    Refusal.FORBIDDEN: "This token may not look.",
    Refusal.LIMITED: "Too many refused calls came from your network. Wait a minute.",
}


class Console:
    """The page of one service."""

    def __init__(
        self,
        samples: Callable[[], Samples],
        catalogue: Callable[[], Mapping[str, Metric]],
        access: Access,
        admin: Admin,
        clock: Clock,
    ) -> None:
        """`samples` and `catalogue` are asked in a thread."""
        self._access, self._admin = access, admin
        self.feed = Feed(View(samples, catalogue), access, clock)

    def routes(self) -> list[web.RouteDef]:
        """All of it."""
        return [
            web.get("/", self._page),
            web.get("/events", self.feed.events),
            web.post("/login", self._login),
            web.post("/logout", self._logout),
            *[web.get(path, _part(*part)) for path, part in PARTS.items()],
        ]

    async def _page(self, request: web.Request) -> web.Response:
        found = self._access.looker(request, token=self._access.settings.page_token)
        if isinstance(found, Refused):
            shown = cookie_of(request) in request.cookies or found.why is not Refusal.UNAUTHENTICATED
            return _form(found.why.value, _WORDS[found.why] if shown else "")
        return _html(_PAGE)

    async def _login(self, request: web.Request) -> web.Response:
        if not _from_here(request):
            await self._admin.tell(request, None, "login", "", Ended("forbidden", "sent from elsewhere"))
            return _form(403, "The form was sent from elsewhere.")
        try:
            fields = dict(parse_qsl((await read_body(request)).decode("ascii"), max_num_fields=4))
        except (Undone, ValueError):
            await self._admin.tell(request, None, "login", "", Ended("malformed"))
            return _form(400, "That is no token.")
        token = fields.get("token", "").strip()
        found = self._access.login(request, token)
        if isinstance(found, Refused):
            await self._admin.tell(request, found.holder, "login", "", Ended(found.why.name.lower()))
            return _form(found.why.value, _WORDS[found.why])
        await self._admin.tell(request, found, "login", "", Ended("done"))
        response = web.Response(status=303, headers={"Location": "/"})
        self._access.open_session(request, response, token, found)
        return response

    async def _logout(self, request: web.Request) -> web.Response:
        response = web.Response(status=303, headers={"Location": "/"})
        self._access.close_session(request, response)
        return response


def _from_here(request: web.Request) -> bool:
    """Whether our own page sent the form, or no browser did; over plain HTTP browsers tell the origin alone."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.host.lower()


def _html(text: str, status: int = 200) -> web.Response:
    # `no-referrer` would make the form's own Origin `null`, from which nobody tells it from another site's.
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}
    return web.Response(status=status, text=text, content_type="text/html", headers=headers)


def _form(status: int, problem: str) -> web.Response:
    told = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    return _html(_FORM.replace("<!-- problem -->", told), status)


def _part(content_type: str, body: bytes) -> Handler:
    async def part(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    return part
