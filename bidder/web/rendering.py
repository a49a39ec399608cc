"""Ads of products, drawn when they are shown: what stands in our iframes, and the assets of native ads.

Place: public.py serves these routes; `/click` leads to the products.
Paths: /render?t= answers an HTML document; /render/native?t=&a= the assets of a native ad as JSON. HEAD looks and
    counts nothing. A token that is not ours, or is none, is a 404 without content. A token of ours always gets an ad:
    the brand alone where it is old, where the shop has no products, or where nobody knows the creative any more an
    empty document: a hole in a page of somebody else is ours to avoid.
Rule: what the person looked at is shown where the token says so (PERSONAL), its bid was made within RENDER_S, the
    browser brings neither our opt-out cookie nor Sec-GPC, and the store has not heard of an opt-out; everybody else,
    and everybody while the store is slow or down, sees the best sellers.
Limits: KNOWN_S for the person, not waited for any longer and never cancelled; MAX_READS of them at a time; after
    FAILURES in a row none for PAUSE_S.
Never: a script, an error for anything that can be sent, the id of a person in an answer.
"""

import asyncio
import logging
from typing import Final, Protocol

from aiohttp import web
from msgspec import Struct
from redis.exceptions import RedisError

from bidder.audience.known import Known
from bidder.campaigns.ads import Showcase
from bidder.catalogue.product import Product
from bidder.catalogue.snapshot import Catalogue
from bidder.clock import Clock
from bidder.metrics import Metric, Tally
from bidder.notices.keys import Keyring
from bidder.notices.recent import Recent
from bidder.notices.token import NOBODY, Audience, Claim, TokenFault, open_token
from bidder.notices.urls import IN_ASSETS, IN_PRODUCT, IN_SEAL
from bidder.render.bandit import Bandit
from bidder.render.choose import choose
from bidder.render.layouts import sheet
from bidder.render.native import native_assets
from bidder.render.page import EMPTY, EMPTY_POLICY, IMAGES_BYTES, Links, document, product_hex
from bidder.render.showcases import Showcases
from bidder.shop.cookies import OPT_OUT
from bidder.stores.breaker import Breaker
from bidder.web.routes import Route
from openrtb.native_assets import read_asked

KNOWN_S: Final = 0.05
"""A read takes a millisecond, and ten and more where all cores are busy: an ad that waits is still there before its
pictures are."""
RENDER_S: Final = 600
"""An ad is drawn within seconds of its bid, or minutes where an app keeps it. Whoever keeps its token for longer, as
the page around it may, learns no more of what its person does."""
MAX_READS: Final = 64
FAILURES: Final = 8
PAUSE_S: Final = 2.0

METRICS: Final = (
    Metric(
        "paceline_renders_total",
        "counter",
        "Ads of products by what was drawn: personal, contextual, brand, empty; refused: the token was not ours",
        ("what",),
    ),
    Metric("paceline_render_people_total", "counter", "People asked for by ads, by result", ("result",)),
)

log = logging.getLogger(__name__)


class Visitors(Protocol):
    """Who knows people; stores/visitors.VisitorStore."""

    async def known(self, person_id: bytes, advertiser_id: str) -> Known:
        """What an advertiser knows of a person. Raises RedisError."""


class Shelves(Protocol):
    """Who has the catalogues; catalogue/snapshot.Catalogues."""

    def of(self, advertiser_id: str) -> Catalogue | None:
        """The current catalogue of an advertiser."""


class Studio(Struct, frozen=True):
    """All that drawing needs."""

    keyring: Keyring
    showcases: Showcases
    catalogues: Shelves
    visitors: Visitors
    bandit: Bandit
    clock: Clock
    tally: Tally
    base_url: str
    """Where browsers reach the public port."""
    privacy_url: str
    """The page that the mark leads to; "": ours."""
    known_s: float = KNOWN_S


class _Ad(Struct, frozen=True):
    """What one token leads to."""

    claim: Claim
    showcase: Showcase | None
    old: bool


def render_routes(studio: Studio) -> list[Route]:
    """GET and HEAD of /render and /render/native."""
    rendering = Rendering(studio)
    return [
        Route(method, path, handler)
        for path, handler in (("/render", rendering.page), ("/render/native", rendering.native))
        for method in ("GET", "HEAD")
    ]


class Rendering:
    """The two handlers."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._people = _People(studio)
        self._recent = Recent()
        base = studio.base_url.rstrip("/")
        privacy = studio.privacy_url or f"{base}/privacy"
        self._click = f"{base}/click?{IN_SEAL}="
        self._privacy = f"{privacy}{'&' if '?' in privacy else '?'}from=ad"
        self._pictures = (
            "https:" if base.startswith("https:") else "https: http:"
        )  # a page of http takes both

    async def page(self, request: web.Request) -> web.StreamResponse:
        """An ad as a document."""
        token = request.query.get(IN_SEAL, "")
        ad = self._open(token)
        if ad is None:
            return self._refused()
        if ad.showcase is None or ad.showcase.size == (0, 0):
            return self._answer("empty", EMPTY, EMPTY_POLICY)
        links = Links(self._click + token, self._privacy, self._pictures)
        layouts = ad.showcase.layouts
        layout = layouts[0] if ad.old else self._studio.bandit.choose(ad.claim.line_item, layouts)
        count = sheet(layout, *ad.showcase.size, 0).count
        products, personal = await self._products(ad, count, request)
        if (
            products
            and request.method == "GET"
            and _teaches(ad.claim)
            and self._recent.first(ad.claim.bid_id)
        ):
            self._studio.bandit.shown(ad.claim.line_item, layout)
        text, policy = document(ad.showcase, layout, products, links)
        return self._answer(_what(products, personal), text, policy)

    async def native(self, request: web.Request) -> web.StreamResponse:
        """The assets of a native ad; what was asked and cannot be read is a 404."""
        token = request.query.get(IN_SEAL, "")
        ad, asked = self._open(token), read_asked(request.query.get(IN_ASSETS, ""))
        if ad is None or asked is None or ad.showcase is None or ad.showcase.native is None:
            return self._refused()
        products, personal = await self._products(ad, 1, request)
        link = self._click + token
        if products:
            link += f"&{IN_PRODUCT}={product_hex(ad.showcase, products[0])}"
        body = native_assets(asked, ad.showcase, products[0] if products else None, link)
        self._studio.tally.count("paceline_renders_total", _what(products, personal))
        headers = {
            "Cache-Control": "no-store",
            "Access-Control-Allow-Origin": "*",
        }  # a page's script fetches it
        return web.Response(body=body, content_type="application/json", headers=headers)

    def _open(self, token: str) -> _Ad | None:
        """What a token of ours leads to, however old; None where it is not ours."""
        studio = self._studio
        claim = open_token(token, studio.keyring, Audience.BROWSER, 0.0)
        if isinstance(claim, TokenFault):
            return None
        showcase = studio.showcases.of(claim.line_item, claim.creative)
        return _Ad(claim, showcase, studio.clock.now_s() > claim.expires_s)

    async def _products(self, ad: _Ad, count: int, request: web.Request) -> tuple[list[Product], bool]:
        """The products of an ad, and whether the person chose them."""
        studio, showcase = self._studio, ad.showcase
        catalogue = studio.catalogues.of(showcase.advertiser_id) if showcase is not None else None
        if catalogue is None or showcase is None or ad.old:
            return [], False
        known = None
        fresh = studio.clock.now_s() - ad.claim.issued_s <= RENDER_S
        if fresh and _may_know(ad.claim, showcase, request):
            known = await self._people.known(ad.claim.person, showcase.advertiser_id)
        chosen = choose(known, catalogue, count, IMAGES_BYTES, studio.clock.now_s())
        return chosen, known is not None

    def _answer(self, what: str, text: str, policy: str) -> web.Response:
        self._studio.tally.count("paceline_renders_total", what)
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": policy}
        return web.Response(text=text, content_type="text/html", headers=headers)

    def _refused(self) -> web.Response:
        self._studio.tally.count("paceline_renders_total", "refused")
        return web.Response(status=404)


class _People:
    """Reads of people, each for a while only."""

    def __init__(self, studio: Studio) -> None:
        self._visitors, self._clock, self._tally = studio.visitors, studio.clock, studio.tally
        self._known_s = studio.known_s
        self._breaker = Breaker(FAILURES, PAUSE_S)
        self._reads: set[asyncio.Task[Known | None]] = set()

    async def known(self, person: bytes, advertiser_id: str) -> Known | None:
        """What is known of a person; None where that is nothing, where they opted out, or nobody answered in time."""
        if len(self._reads) >= MAX_READS or not self._breaker.allows(self._clock.monotonic_ns()):
            return self._count("skipped", None)
        read = asyncio.get_running_loop().create_task(self._read(person, advertiser_id))
        self._reads.add(read)
        read.add_done_callback(self._reads.discard)
        done, _ = await asyncio.wait((read,), timeout=self._known_s)
        if not done:
            self._breaker.failed(self._clock.monotonic_ns())
            return self._count("late", None)
        known = read.result()
        if known is None:
            return self._count("failed", None)
        self._breaker.succeeded()
        if known.opted_out:
            return self._count("opted_out", None)
        found = known.profile is not None or bool(known.history.visits)
        return self._count("found" if found else "unknown", known if found else None)

    async def _read(self, person: bytes, advertiser_id: str) -> Known | None:
        try:
            known = await self._visitors.known(person, advertiser_id)
        except (RedisError, OSError) as error:
            if self._breaker.failed(self._clock.monotonic_ns()):
                log.warning("people are not read for ads: %s", type(error).__name__)
            return None
        return known

    def _count(self, result: str, known: Known | None) -> Known | None:
        self._tally.count("paceline_render_people_total", result)
        return known


def _may_know(claim: Claim, showcase: Showcase, request: web.Request) -> bool:
    """Whether the ad may show what its person looked at: the bid could, and the browser does not object now."""
    if not claim.personal or claim.visitor or claim.person == NOBODY or showcase.child_directed:
        return False
    return request.cookies.get(OPT_OUT) != "1" and request.headers.get("Sec-GPC") != "1"


def _teaches(claim: Claim) -> bool:
    """Whether a view tells which layout people like."""
    return not claim.test and not claim.suspect


def _what(products: list[Product], personal: bool) -> str:
    return "personal" if products and personal else "contextual" if products else "brand"
