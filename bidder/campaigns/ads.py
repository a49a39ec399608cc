"""Creatives compiled for the path of a bid: what a slot must accept, and markup in pieces.

Place: index.py compiles one Ad per creative; choose.py asks whether it fits a slot, respond.py renders it.
Shapes: attributes and frameworks are masks, bit n standing for OpenRTB value n.
Limits: markup is joined from pieces; values put between them are URLs that we signed, never text of a request.
"""

import html
import secrets
from collections.abc import Sequence
from urllib.parse import quote

from msgspec import Struct

from bidder.campaigns.caps import CREATIVE, Cap, caps_of
from bidder.campaigns.dimensions import category_names
from bidder.campaigns.layouts import suited
from bidder.campaigns.model import Advertiser, Creative, Layout, NativeAssets
from bidder.keys import key32
from bidder.opportunity import AUDIO, BANNER, NATIVE, VIDEO
from openrtb.blocks import insecure
from openrtb.check_media import banner_type
from openrtb.macros import Markup, cut
from openrtb.native_answer import NativeCreative, Picture
from openrtb.vast import INLINE, MediaFile, Template, VastCreative

_MEDIA = {"native": NATIVE, "video": VIDEO, "audio": AUDIO}
_PLACES = frozenset({"CLICK_URL", "CLICK_URL_ESC", "IMPRESSION_URL", "CACHEBUSTER", "RENDER_URL"})
_SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
"""An ad of products has no script, asks for no origin of its own, and opens shops in windows of theirs."""
_BEACON = (
    '<img src="${IMPRESSION_URL}" width="1" height="1" alt="" aria-hidden="true" '
    'style="position:absolute;left:-9999px">'
)


class Showcase(Struct, frozen=True, gc=False):
    """What a creative of kind `products` tells whoever draws it."""

    advertiser_id: str
    brand: str
    size: tuple[int, int]
    """(0, 0): it is native."""
    layouts: tuple[Layout, ...]
    language: str
    native: NativeCreative | None
    child_directed: bool = False
    """Of the shop: nothing is read of who sees the ad."""


class Ad(Struct, frozen=True, gc=False):
    """A creative, ready to be matched and rendered."""

    id: str
    key: int
    """64 bits, for tokens."""
    key32: int
    """For the log of a person's views: of the advertiser's id, a slash and the creative's id."""
    medium: int
    size: tuple[int, int]
    secure: bool
    attributes: int
    btypes: int
    apis: int
    api_list: list[int] | None
    attribute_list: list[int] | None
    language: str
    taxonomy: int
    categories: tuple[str, ...]
    category_list: list[str] | None
    category_names: tuple[str, ...]
    """The categories and, in taxonomy 1, those above them."""
    duration_s: int
    landing_url: str
    caps: tuple[Cap, ...] = ()
    """The creative's own; those of its line item bound it too."""
    markup: Markup | None = None
    media_files: tuple[MediaFile, ...] = ()
    vast: dict[int, Template] | None = None
    """By protocol code."""
    native: NativeCreative | None = None
    showcase: Showcase | None = None
    """Of kind `products`: drawn when it is shown."""


def render_html(ad: Ad, click_url: str, impression_url: str, render_url: str = "") -> str:
    """A banner's markup with its places filled; `render_url` is where an ad of products is drawn."""
    markup = ad.markup
    assert markup is not None, "only banners are HTML"
    values = {"CLICK_URL": click_url, "IMPRESSION_URL": impression_url}
    if "CLICK_URL_ESC" in markup.pieces:
        values["CLICK_URL_ESC"] = quote(click_url, safe="")
    if "CACHEBUSTER" in markup.pieces:
        values["CACHEBUSTER"] = secrets.token_hex(8)
    if "RENDER_URL" in markup.pieces:
        values["RENDER_URL"] = render_url
    return markup.render(values)


def compile_ad(advertiser: Advertiser, creative: Creative, key: int) -> Ad:
    """The Ad of a creative."""
    medium = NATIVE if creative.native else _MEDIA.get(creative.kind, BANNER)
    markup = _html(creative) if medium == BANNER else ""
    view_key = key32(f"{advertiser.id}/{creative.id}")
    return Ad(
        id=creative.id,
        key=key,
        key32=view_key,
        medium=medium,
        size=(creative.w or 0, creative.h or 0),
        secure=not creative.landing_url.startswith("http:") and not insecure(markup + _addresses(creative)),
        attributes=mask_of(creative.attributes),
        btypes=mask_of((banner_type(markup),)) if medium == BANNER else 0,
        apis=mask_of(creative.apis),
        api_list=list(creative.apis) or None,
        attribute_list=list(creative.attributes) or None,
        language=creative.language or "",
        taxonomy=creative.category_taxonomy,
        categories=creative.categories,
        category_list=list(creative.categories) or None,
        category_names=tuple(
            [
                name
                for category in creative.categories
                for _, name in category_names(creative.category_taxonomy, category)
            ]
        ),
        duration_s=creative.duration_s or 0,
        landing_url=creative.landing_url,
        caps=caps_of(creative.frequency, CREATIVE, view_key),
        markup=cut(markup, _PLACES) if medium == BANNER else None,
        media_files=_media_files(creative),
        vast=_vast(advertiser, creative) if medium in (VIDEO, AUDIO) else None,
        native=_native(creative.native) if creative.native else None,
        showcase=_showcase(advertiser, creative) if creative.kind == "products" else None,
    )


def mask_of(values: Sequence[int] | None) -> int:
    """A list of OpenRTB values (0 to 63) as a mask; values outside are passed over."""
    mask = 0
    for value in values or ():
        if 0 <= value < 64:
            mask |= 1 << value
    return mask


def _html(creative: Creative) -> str:
    if creative.kind == "html":
        body = creative.html or ""
        return body if "${IMPRESSION_URL}" in body else body + _BEACON
    size = f'width="{creative.w}" height="{creative.h}"'
    if creative.kind == "products":
        return (
            f'<iframe src="${{RENDER_URL}}" {size} sandbox="{_SANDBOX}" scrolling="no" frameborder="0" '
            f'title="{html.escape(creative.alt or "Advertisement")}" style="border:0"></iframe>{_BEACON}'
        )
    if creative.kind == "iframe":
        url = html.escape(creative.iframe_url or "")
        joined = "&amp;" if "?" in url else "?"
        return (
            f'<iframe src="{url}{joined}click=${{CLICK_URL_ESC}}" {size} scrolling="no" frameborder="0" '
            f'title="{html.escape(creative.alt or "Advertisement")}" style="border:0"></iframe>{_BEACON}'
        )
    return (
        f'<a href="${{CLICK_URL}}" target="_blank" rel="noopener"><img src="{html.escape(creative.image_url or "")}" '
        f'{size} alt="{html.escape(creative.alt)}" style="display:block;border:0"></a>{_BEACON}'
    )


def _showcase(advertiser: Advertiser, creative: Creative) -> Showcase:
    size = (creative.w or 0, creative.h or 0)
    return Showcase(
        advertiser_id=advertiser.id,
        brand=advertiser.name,
        size=size,
        layouts=creative.layouts or suited(*size),
        language=creative.language or "",
        native=_native(creative.native) if creative.native else None,
        child_directed=advertiser.child_directed,
    )


def _addresses(creative: Creative) -> str:
    """What the markup of a video, audio or native ad loads, each in quotation marks."""
    native = creative.native
    urls = [file.url for file in creative.media_files]
    urls += [url for url in (native.image_url, native.icon_url) if url] if native else []
    return "".join([f'"{url}"' for url in urls])


def _picture(url: str | None, w: int | None, h: int | None) -> tuple[Picture, ...]:
    return (Picture(url, w or 0, h or 0),) if url else ()


def _native(assets: NativeAssets) -> NativeCreative:
    return NativeCreative(
        title=assets.title,
        sponsored=assets.sponsored_by,
        description=assets.description or "",
        cta=assets.call_to_action or "",
        price=assets.price or "",
        rating=assets.rating or "",
        mains=_picture(assets.image_url, assets.image_w, assets.image_h),
        icons=_picture(assets.icon_url, assets.icon_w, assets.icon_h),
    )


def _media_files(creative: Creative) -> tuple[MediaFile, ...]:
    return tuple(
        MediaFile(file.url, file.mime, file.w or 0, file.h or 0, file.bitrate_kbps)
        for file in creative.media_files
    )


def _vast(advertiser: Advertiser, creative: Creative) -> dict[int, Template]:
    spot = VastCreative(
        id=creative.id,
        title=creative.title or advertiser.name,
        duration_ms=1000 * (creative.duration_s or 0),
        media=_media_files(creative),
        advertiser=advertiser.name,
    )
    by_version = {version: Template(spot, version) for version in set(INLINE.values())}
    return {protocol: by_version[version] for protocol, version in INLINE.items()}
