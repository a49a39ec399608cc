"""What a shop's pages and servers call: the tag, the pixel, batches of events, and the tag's list of syncs.

Place: routes of the public port; shop/ decides, this file knows HTTP.
Paths: GET|HEAD /tag.js /tag-1.js; GET|HEAD /pixel answers a GIF; POST /v1/events (Bearer token) one result for each
    event, 429 with Retry-After where it is to be sent again; GET|OPTIONS /v1/syncs for the pages of a shop alone,
    which may read the pixel's answer, too.
    What is wrong is a 400, 401, 403, 415 with {"error": ...}.
Limits: PIXEL_QUERY characters, EVENTS_BYTES of a batch.
Never: a credentialed answer to an origin that is not the shop's; HEAD and OPTIONS change nothing.
"""

import re
from typing import Final

import msgspec
from aiohttp import web

from bidder.notices.keys import Keyring
from bidder.shop.calls import Answer, Call
from bidder.shop.intake import Refusal
from bidder.shop.origins import belongs, page_of
from bidder.shop.receive import RETRY_AFTER_S, Busy, Result, Shops
from bidder.shop.syncs import Syncs
from bidder.shop.tag import VERSION, tag
from bidder.shop.tokens import MAX_TOKEN, check_shop_token
from bidder.web.limits import forged, too_many
from bidder.web.public import GIF
from bidder.web.routes import Route

PIXEL_QUERY: Final = (
    8_192  # a TC string and a GPP string of usual length, and a cart of some dozens of products
)
EVENTS_BYTES: Final = 1_048_576  # MAX_BATCH events of 2 KB
TAG_AGE_S: Final = 3_600

_ORIGIN: Final = re.compile(
    r"(https://[a-z0-9._-]+|http://(([a-z0-9_-]+\.)*localhost|127\.0\.0\.1))(:[0-9]{1,5})?\Z"
)
"""As browsers write it: nothing else is said back to anybody, and to no page that others could have changed on its way;
this machine's own pages have no way."""
_encode: Final = msgspec.json.Encoder().encode


class Taken(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a batch."""

    accepted: int
    repeated: int
    refused: int
    events: list[Result]
    error: str = ""
    """Where none was accepted: what is wrong with the first."""


def shop_routes(shops: Shops, syncs: Syncs, keyring: Keyring, vendor_id: int) -> list[Route]:
    """The routes of shops' pages and servers; `vendor_id` is ours on the Global Vendor List."""
    script = tag(vendor_id)

    async def serve_tag(request: web.Request) -> web.StreamResponse:
        headers = {"ETag": script.etag, "Cache-Control": f"public, max-age={TAG_AGE_S}"}
        if request.headers.get("If-None-Match") == script.etag:
            return web.Response(status=304, headers=headers)
        headers["Access-Control-Allow-Origin"] = (
            "*"  # without credentials: for pages that pin it by its digest
        )
        return web.Response(
            body=script.body, content_type="text/javascript", charset="utf-8", headers=headers
        )

    async def pixel(request: web.Request) -> web.StreamResponse:
        call = call_of(request)
        return _shared(answered(await shops.pixel(call)), shops, call)  # for the tag's data-debug

    async def events(request: web.Request) -> web.StreamResponse:
        advertiser_id = _bearer(keyring, request)
        if advertiser_id is None:
            return forged(request) or wrong(
                401, "a shop's token is needed: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"}
            )
        if (refusal := too_many(request, advertiser_id)) is not None:
            return refusal
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return wrong(415, "a body is sent as it is, without Content-Encoding")
        try:
            return _told(await shops.batch(advertiser_id, await request.read()))
        except Refusal as error:
            return wrong(400, str(error))
        except Busy:
            return later()

    async def offered(request: web.Request) -> web.StreamResponse:
        call = call_of(request)
        answer, urls = await syncs.offered(shops, call)
        response = answered(answer) if answer.error else _json(200, {"syncs": urls}, answer.cookies)
        return _shared(response, shops, call)

    async def asked(request: web.Request) -> web.StreamResponse:
        return _shared(web.Response(status=204), shops, call_of(request))

    names = ("/tag.js", f"/tag-{VERSION}.js")
    return [
        *[Route(method, name, serve_tag) for name in names for method in ("GET", "HEAD")],
        Route("GET", "/pixel", pixel, max_query=PIXEL_QUERY),
        Route("HEAD", "/pixel", gif, max_query=PIXEL_QUERY),
        Route("POST", "/v1/events", events, max_body=EVENTS_BYTES),
        Route("GET", "/v1/syncs", offered, max_query=PIXEL_QUERY),
        Route("OPTIONS", "/v1/syncs", asked, max_query=PIXEL_QUERY),
    ]


def call_of(request: web.Request) -> Call:
    """A request as shop/ knows it."""
    return Call(tuple(request.query.items()), request.headers, request.cookies)


def answered(answer: Answer) -> web.Response:
    """An answer of shop/ as a response: the GIF, a redirect, or what is wrong."""
    if answer.error:
        return wrong(answer.status, answer.error)
    if answer.location:
        response = web.Response(status=answer.status, headers={"Location": answer.location})
    else:
        response = web.Response(body=GIF, content_type="image/gif")
    return _with_cookies(response, answer.cookies)


def wrong(status: int, error: str, headers: dict[str, str] | None = None) -> web.Response:
    """What is wrong, as JSON."""
    body = _encode({"error": error})
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def later() -> web.Response:
    """Come again: nothing was lost that was not told."""
    return wrong(429, "not now: send the same again", {"Retry-After": str(RETRY_AFTER_S)})


async def gif(request: web.Request) -> web.StreamResponse:
    """For HEAD: what GET would look like."""
    return answered(Answer())


def _told(results: list[Result]) -> web.Response:
    counts = dict.fromkeys(("accepted", "repeated", "refused"), 0)
    for result in results:
        counts[result.status] += 1
    failed = counts["refused"] == len(results)
    taken = Taken(**counts, events=results, error=results[0].error if failed else "")
    return web.Response(status=400 if failed else 200, body=_encode(taken), content_type="application/json")


def _bearer(keyring: Keyring, request: web.Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or len(token) > MAX_TOKEN:
        return None
    return check_shop_token(keyring, token.strip())


def _json(status: int, told: object, cookies: tuple[str, ...]) -> web.Response:
    response = web.Response(status=status, body=_encode(told), content_type="application/json")
    return _with_cookies(response, cookies)


def _with_cookies(response: web.Response, cookies: tuple[str, ...]) -> web.Response:
    for cookie in cookies:
        response.headers.add("Set-Cookie", cookie)
    return response


def _shared(response: web.Response, shops: Shops, call: Call) -> web.Response:
    """Let a page of the shop read a response, and no other page."""
    response.headers["Vary"] = "Origin"
    advertiser = shops.advertiser(call.first("advertiser"))
    origin = call.headers.get("origin", "")
    if advertiser is not None and _ORIGIN.match(origin) and belongs(page_of(call.headers) or "", advertiser):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
    return response
