"""An ad of products as one HTML document: no script, nothing that is loaded but the pictures.

Place: web/rendering answers with it.
Shapes: document() -> (html, policy): the policy is the Content-Security-Policy that fits this document alone.
Units: prices are micros of the product's currency.
Limits: MAX_TITLE characters of a title; a document stays below MAX_DOCUMENT_BYTES (a test holds it there);
    IMAGES_BYTES of all pictures keep the first load within FIRST_LOAD_BYTES.
Source: IAB New Ad Portfolio: initial load of 150 KB for the sizes that we draw; CSP Level 3; OWASP's rules against
    cross-site scripting: every value is escaped where it stands, addresses are http(s) or left out.
Never: text of a feed in a style sheet, a script, an address of ours that names a person in clear.
"""

import html
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from bidder.campaigns.ads import Showcase
from bidder.campaigns.model import Layout
from bidder.catalogue.product import Product
from bidder.keys import key32, product_key
from bidder.notices.urls import IN_LAYOUT, IN_PRODUCT
from bidder.render.layouts import Sheet, brand_sheet, sheet
from bidder.render.prices import price_text
from bidder.render.words import Words, words_of
from openrtb.native_assets import cut_text

FIRST_LOAD_BYTES: Final = 150_000
MAX_DOCUMENT_BYTES: Final = 15_000
IMAGES_BYTES: Final = FIRST_LOAD_BYTES - MAX_DOCUMENT_BYTES
MAX_TITLE: Final = 120
_SAFE_SCHEMES: Final = ("http", "https")
_MARK: Final = (
    '<svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true"><path fill="currentColor" d="M8 1a7 7 0 1 0 0'
    " 14A7 7 0 0 0 8 1Zm0 1.4a5.6 5.6 0 1 1 0 11.2A5.6 5.6 0 0 1 8 2.4ZM7.2 7h1.6v4.6H7.2V7Zm.8-3a1 1 0 1 1 0 2"
    ' 1 1 0 0 1 0-2Z"/></svg>'
)
EMPTY: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Advertisement</title></head></html>'
)
"""Where nobody knows what the ad was."""
EMPTY_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors *"
_OUT: Final = 'target="_blank" rel="noopener"'


class Links(Struct, frozen=True, gc=False):
    """Where an ad leads."""

    click: str
    """Our click URL, to its landing page; a product and a layout are put behind it."""
    privacy: str
    pictures: str = "https:"
    """CSP sources of pictures."""


def document(
    showcase: Showcase, layout: Layout, products: Sequence[Product], links: Links
) -> tuple[str, str]:
    """An ad and its policy; without products the brand alone, and one product stands by itself."""
    words = words_of(showcase.language)
    w, h = showcase.size
    accent = key32(showcase.advertiser_id)
    if not products:
        style = brand_sheet(w, h, accent)
        return _page(showcase, style, words, _header(showcase, links.click, words), links), _policy(
            style, links
        )
    layout = layout if len(products) > 1 else "single"
    style = sheet(layout, w, h, accent)
    items = [
        _item(
            showcase,
            product,
            f"{links.click}&{IN_PRODUCT}={product_hex(showcase, product)}&{IN_LAYOUT}={layout}",
            place < style.eager,
        )
        for place, product in enumerate(products[: style.count])
    ]
    scrolls = f' tabindex="0" aria-label="{_text(words.products)}"' if layout == "carousel" else ""
    body = f'{_header(showcase, links.click, words)}<ul class="i"{scrolls}>{"".join(items)}</ul>'
    return _page(showcase, style, words, body, links), _policy(style, links)


def _header(showcase: Showcase, click: str, words: Words) -> str:
    return (
        f'<header><a href="{_text(click)}" {_OUT}><span class="n">{_text(showcase.brand)}</span></a>'
        f'<a class="c" href="{_text(click)}" {_OUT}>{_text(words.shop)}</a></header>'
    )


def _item(showcase: Showcase, product: Product, click: str, eager: bool) -> str:
    words = words_of(showcase.language)
    title = cut_text(" ".join(product.title.split()), MAX_TITLE)
    loading = 'fetchpriority="high"' if eager else 'loading="lazy"'
    return (
        f'<li><a href="{_text(click)}" {_OUT}><img src="{_text(safe_url(product.image_url))}" alt="" {loading} '
        f'decoding="async" referrerpolicy="no-referrer"><span class="x"><span class="n" aria-hidden="true">'
        f'{_text(showcase.brand)}</span><span class="t" dir="auto">{_text(title)}</span>'
        f'{_price(product, showcase.language, words)}<span class="c" aria-hidden="true">{_text(words.shop)}</span>'
        "</span></a></li>"
    )


def _price(product: Product, language: str, words: Words) -> str:
    now = product.price_micros
    old = ""
    if product.sale_price_micros is not None and 0 < product.sale_price_micros < now:
        text = price_text(now, product.currency, language)
        old = (
            f'<span class="h">{_text(words.before)} </span><s>{_text(text)}</s>'
            f'<span class="h"> {_text(words.now)} </span>'
        )
        now = product.sale_price_micros
    if now <= 0:
        return ""
    return f'<span class="p">{old}<b>{_text(price_text(now, product.currency, language))}</b></span>'


def _page(showcase: Showcase, style: Sheet, words: Words, body: str, links: Links) -> str:
    title = _text(f"{words.advertisement}: {showcase.brand}")
    return (
        f'<!doctype html><html lang="{_text(showcase.language or "en")}" dir="{words.direction}"><head>'
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta name="robots" content="noindex"><title>{title}</title>'
        f'<style>{style.css}</style></head><body aria-label="{title}">{body}<a class="m" href="{_text(links.privacy)}" '
        f'{_OUT} title="{_text(words.choices)}"><span class="h">{_text(words.choices)}</span>{_MARK}</a></body></html>'
    )


def _policy(style: Sheet, links: Links) -> str:
    return (
        f"default-src 'none'; img-src {links.pictures}; style-src {style.hash}; base-uri 'none'; "
        "form-action 'none'; frame-ancestors *"
    )


def safe_url(url: str) -> str:
    """An address that may stand in a page: http or https with a host, of printable characters; else ""."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    sound = (
        parts.scheme in _SAFE_SCHEMES
        and parts.hostname
        and url.isprintable()
        and not set(' "<>\\^`{|}') & set(url)
    )
    return url if sound else ""


def product_hex(showcase: Showcase, product: Product) -> str:
    """A product's key as it stands in a click's URL."""
    return f"{product_key(showcase.advertiser_id, product.id):016x}"


def _text(value: str) -> str:
    return html.escape(value, quote=True)
