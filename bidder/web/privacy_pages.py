"""The privacy pages over HTTP: looking, choosing, erasing, in any browser, without a script.

Place: household gives public.py these routes; rights/ knows what to say and what to do.
Paths: GET /privacy, GET /privacy/data (?format=json for programs), GET /privacy/erase (the question);
    POST /privacy/choice (choice=out or in), POST /privacy/erase (confirm=yes): both end in a redirect (303) to GET.
Rule: a change needs a form of ours: its token, the nonce in a SameSite=Strict cookie, and, where the browser tells, an
    origin of ours. Whatever else comes changes nothing.
    Where the store is away, opting out still says no in the browser, and keeps the id until the store could be told.
    Under an id of which the store knows nothing, nothing is written but the question to every host's files, and that no
    faster than UNKNOWN_PER_S: anybody can send ids that nobody has. Beyond it the person is told to come again.
Limits: MAX_BODY; changes of one form and of one connection (429, with what to do), of whom
    MAX_CALLERS are remembered; languages are those of texts.
Never: a 5xx; a page in a cache, in a frame, or with anything that another host serves; an id in a log.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Struct, field
from redis.exceptions import RedisError

from bidder.audience.identity import is_visitor, person_id
from bidder.campaigns.model import Advertiser
from bidder.clock import Clock
from bidder.metrics import Tally
from bidder.notices.keys import Keyring
from bidder.privacy.browser import signals_from
from bidder.rights import forms
from bidder.rights.erase import Eraser
from bidder.rights.holdings import Holdings, holdings
from bidder.rights.layout import POLICY
from bidder.rights.pages import (
    CHOICE,
    DATA,
    ERASE,
    HOME,
    Operator,
    Seen,
    everything,
    overview,
    question,
    slow,
)
from bidder.rights.readable import Catalogues, Words, readable
from bidder.rights.texts import LANGUAGES
from bidder.stores.people_writer import PeopleWriter
from bidder.stores.removal import OPT_OUT_S, Client
from bidder.web.routes import Route
from bidder.web.turns import Turns

ID_COOKIES: Final = ("pl_id", "pl_pid")
OPT_OUT_COOKIE: Final = "pl_optout"
OPT_IN_COOKIE: Final = "pl_optin"
"""That ids which were opted out may lead to somebody again: see shop/cookies."""
NONCE_COOKIE: Final = "pl_form"
MAX_BODY: Final = 2_048
MAX_FIELDS: Final = 8
ASKED_BY: Final = "person"

NONCE_S: Final = 12 * 3_600

FORM_PER_S: Final = 1.0
FORM_BURST: Final = 4
"""Who says no, yes, and erases, does it in four clicks."""
CONNECTION_PER_S: Final = 20.0
CONNECTION_BURST: Final = 40
"""A proxy of the operator's brings many browsers over one connection."""
MAX_CALLERS: Final = 10_000
UNKNOWN_PER_S: Final = 0.1
UNKNOWN_BURST: Final = 60
"""Per worker: 260,000 entries in the 30 days that the queue of erasures keeps one."""

_SAFE: Final = "Path=/; Secure; HttpOnly; SameSite=None"
_STRICT: Final = f"Path={HOME}; Secure; HttpOnly; SameSite=Strict"
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # so that our own forms carry their origin
    "X-Frame-Options": "DENY",
    "Vary": "Accept-Language, Cookie, Sec-GPC",
}
_UNREACHABLE: Final = (RedisError, OSError)
_log = logging.getLogger(__name__)


class Desk(Struct, frozen=True, kw_only=True):
    """What the pages stand on."""

    client: Client
    """Of the people's store; stays its owner's."""
    keyring: Keyring
    operator: Operator
    origin: str
    """Scheme and host of the public port's base URL."""
    advertisers: Callable[[], Iterable[Advertiser]]
    """Those of the live campaigns."""
    catalogues: Catalogues | None
    tally: Tally
    clock: Clock
    forms: Turns = field(default_factory=lambda: Turns(FORM_PER_S, FORM_BURST, MAX_CALLERS))
    connections: Turns = field(default_factory=lambda: Turns(CONNECTION_PER_S, CONNECTION_BURST, MAX_CALLERS))
    unknown: Turns = field(default_factory=lambda: Turns(UNKNOWN_PER_S, UNKNOWN_BURST, 1))

    @property
    def writer(self) -> PeopleWriter:
        """For tombstones."""
        return PeopleWriter(self.client)


def privacy_routes(desk: Desk) -> list[Route]:
    """The routes of all privacy pages."""
    pages: dict[str, Callable[[Desk, web.Request], Awaitable[web.Response]]] = {
        HOME: _overview,
        DATA: _data,
        ERASE: _question,
    }
    routes = [
        Route(method, path, _with(desk, handle))
        for path, handle in pages.items()
        for method in ("GET", "HEAD")
    ]
    routes.append(Route("POST", CHOICE, _with(desk, _choice), max_body=MAX_BODY))
    routes.append(Route("POST", ERASE, _with(desk, _erase), max_body=MAX_BODY))
    return routes


def _with(desk: Desk, handle: Callable[[Desk, web.Request], Awaitable[web.Response]]) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await handle(desk, request)

    return handler


async def _overview(desk: Desk, request: web.Request) -> web.Response:
    known = await _held(desk, request)
    held = None if known is None else any(not each.nothing for each in known)
    return _page(desk, request, lambda seen: overview(desk.operator, seen), held)


async def _data(desk: Desk, request: web.Request) -> web.Response:
    known = await _held(desk, request)
    words = None if known is None else _words(desk, known)
    if request.query.get("format") == "json":
        return _as_json(words)
    return _page(
        desk, request, lambda seen: everything(seen, words or ()), None if words is None else bool(words)
    )


async def _question(desk: Desk, request: web.Request) -> web.Response:
    return _page(desk, request, question, False)


async def _choice(desk: Desk, request: web.Request) -> web.Response:
    fields = await _fields(request)
    choice = fields.get("choice")
    if choice not in ("out", "in") or not _ours(desk, request, fields):
        return _back(fields, request, "form")
    if not _in_turn(desk, request):
        return _slow(fields, request)
    desk.tally.count("paceline_choices_total", choice)
    told = True
    try:
        for person in people_of(request.cookies):
            if choice == "out":
                told &= await _leave(desk, person, out=True)
            else:
                await desk.writer.opt_in(person)
    except _UNREACHABLE as error:
        _log.warning("a person's choice could not be told to the store: %s", type(error).__name__)
        return (
            _back(fields, request, "later", _saying_no())
            if choice == "out"
            else _back(fields, request, "failed")
        )
    if choice == "out" and not told:
        return _back(fields, request, "later", _saying_no())
    if choice == "out":
        return _back(fields, request, "out", [*_saying_no(), *_gone(*ID_COOKIES, OPT_IN_COOKIE)])
    return _back(fields, request, "in", [*_saying(OPT_IN_COOKIE), *_gone(OPT_OUT_COOKIE)])


async def _erase(desk: Desk, request: web.Request) -> web.Response:
    fields = await _fields(request)
    if fields.get("confirm") != "yes" or not _ours(desk, request, fields):
        return _back(fields, request, "form")
    if not _in_turn(desk, request):
        return _slow(fields, request)
    people, told = people_of(request.cookies), True
    try:
        for person in people:
            told &= await _leave(desk, person, out=False)
    except _UNREACHABLE as error:
        _log.warning("a person could not be erased: %s", type(error).__name__)
        return _back(fields, request, "failed")
    if not told:
        return _back(fields, request, "failed")
    return _back(fields, request, "erased" if people else "nothing", _gone(*ID_COOKIES))


async def _leave(desk: Desk, person: bytes, *, out: bool) -> bool:
    """Erase a person, or opt them out; False where that has to be asked again later."""
    eraser, now_s = Eraser(desk.client, desk.tally), desk.clock.now_s()
    if await eraser.knows(person):
        await (eraser.opt_out if out else eraser.erase)(person, now_s, ASKED_BY)
        return True
    if not desk.unknown.take("", _moment_s(desk)):
        return False
    await eraser.ask_files(person, now_s, ASKED_BY)
    return True


def _in_turn(desk: Desk, request: web.Request) -> bool:
    """Whether this form, and this connection, may change something again."""
    now_s, transport = _moment_s(desk), request.transport
    peer = transport.get_extra_info("peername") if transport is not None else None
    return desk.connections.take(peer, now_s) and desk.forms.take(
        request.cookies.get(NONCE_COOKIE, ""), now_s
    )


def _moment_s(desk: Desk) -> float:
    return desk.clock.monotonic_ns() / 1e9


def _slow(fields: Mapping[str, str], request: web.Request) -> web.Response:
    language = language_of(fields.get("lang", ""), request.headers.get("Accept-Language", ""))
    headers = {**_HEADERS, "Content-Language": language, "Retry-After": "5"}
    return web.Response(status=429, text=slow(language), content_type="text/html", headers=headers)


def people_of(cookies: Mapping[str, str]) -> list[bytes]:
    """The numbers of ours that a browser brings."""
    found = [person_id(cookies.get(name, "")) for name in ID_COOKIES]
    return list(dict.fromkeys(each for each in found if each is not None and not is_visitor(each)))


def language_of(asked: str, accepted: str) -> str:
    """The language that the query names, else the one that the browser likes best, else English."""
    if asked in LANGUAGES:
        return asked
    best, language = 0.0, LANGUAGES[0]
    for part in accepted[:500].split(","):
        name, _, weight = part.partition(";")
        primary = name.strip().lower().partition("-")[0]
        liked = _weight(weight)
        if primary in LANGUAGES and liked > best:
            best, language = liked, primary
    return language


def _weight(text: str) -> float:
    name, _, value = text.strip().partition("=")
    try:
        return min(1.0, float(value)) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0


async def _held(desk: Desk, request: web.Request) -> list[Holdings] | None:
    """What is held of each number; None where the store does not answer."""
    try:
        return [
            await holdings(desk.client, person, desk.clock.now_s()) for person in people_of(request.cookies)
        ]
    except _UNREACHABLE as error:
        _log.warning("what is held of a person could not be read: %s", type(error).__name__)
        return None


def _words(desk: Desk, known: Iterable[Holdings]) -> list[Words]:
    shops = list(desk.advertisers())
    return [
        readable(each, shops, desk.catalogues, desk.clock.now_s(), desk.operator.exchanges)
        for each in known
        if not each.nothing or each.opted_out_s
    ]


def _as_json(words: list[Words] | None) -> web.Response:
    if words is None:
        answer: dict[str, object] = {"error": "what is held cannot be reached at the moment; try again later"}
    else:
        answer = {"held": words}
    headers = {**_HEADERS, "Content-Disposition": 'attachment; filename="my-data.json"'}
    body = msgspec.json.format(msgspec.json.encode(answer), indent=2)
    return web.Response(body=body, content_type="application/json", headers=headers)


def _page(desk: Desk, request: web.Request, render: Callable[[Seen], str], held: bool | None) -> web.Response:
    nonce = request.cookies.get(NONCE_COOKIE, "")
    fresh = not forms.is_nonce(nonce)
    nonce = forms.new_nonce() if fresh else nonce
    query, headers = request.query, {name.lower(): value for name, value in request.headers.items()}
    seen = Seen(
        language=language_of(query.get("lang", ""), headers.get("accept-language", "")),
        form=forms.form_token(desk.keyring, nonce, desk.clock.now_s()),
        opted_out=bool(request.cookies.get(OPT_OUT_COOKIE)),
        recognised=bool(people_of(request.cookies)),
        held=held,
        gpc=signals_from({}, headers, "").gpc,
        done=query.get("done", ""),
    )
    response = web.Response(text=render(seen), content_type="text/html", headers=_HEADERS)
    response.headers["Content-Language"] = seen.language
    if fresh:
        response.headers.add("Set-Cookie", f"{NONCE_COOKIE}={nonce}; Max-Age={NONCE_S}; {_STRICT}")
    return response


async def _fields(request: web.Request) -> dict[str, str]:
    """The fields of a form; of what is no form, none."""
    if request.content_type != "application/x-www-form-urlencoded":
        return {}
    try:
        body = (await request.read()).decode()
        return dict(parse_qsl(body, max_num_fields=MAX_FIELDS))
    except ValueError:
        return {}


def _ours(desk: Desk, request: web.Request, fields: Mapping[str, str]) -> bool:
    """Whether a change comes from a form of ours."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None and site != "same-origin":
        return False
    if origin is not None and origin != desk.origin and origin.partition("://")[2] != request.host:
        return False
    nonce = request.cookies.get(NONCE_COOKIE, "")
    return forms.check_form(desk.keyring, fields.get("form", ""), nonce, desk.clock.now_s())


def _back(
    fields: Mapping[str, str], request: web.Request, done: str, cookies: Iterable[str] = ()
) -> web.Response:
    """To the overview, which says what was done; the address is made of constants alone."""
    language = language_of(fields.get("lang", ""), request.headers.get("Accept-Language", ""))
    response = web.Response(
        status=303, headers={**_HEADERS, "Location": f"{HOME}?lang={language}&done={done}"}
    )
    for cookie in cookies:
        response.headers.add("Set-Cookie", cookie)
    return response


def _saying_no() -> list[str]:
    return _saying(OPT_OUT_COOKIE)


def _saying(name: str) -> list[str]:
    said = f"{name}=1; Max-Age={OPT_OUT_S}; {_SAFE}"
    return [said, f"{said}; Partitioned"]


def _gone(*names: str) -> list[str]:
    """Cookies that go, as they were set: for all sites, and for this one."""
    bare = [f"{name}=; Max-Age=0; {_SAFE}" for name in names]
    return [*bare, *(f"{each}; Partitioned" for each in bare)]


def origin_of(base_url: str) -> str:
    """Scheme and host of a base URL."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"
