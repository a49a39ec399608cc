"""Documents of ads: nothing runs, nothing leaks, everything is light, and people can read it."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bidder.campaigns.layouts import MOST_PRODUCTS, products_of, suited
from bidder.campaigns.model import Layout
from bidder.catalogue.product import Product
from bidder.keys import product_key
from bidder.render import layouts as module
from bidder.render.choose import ASSUMED_IMAGE_BYTES
from bidder.render.layouts import ACCENTS, sheet
from bidder.render.page import (
    FIRST_LOAD_BYTES,
    IMAGES_BYTES,
    MAX_DOCUMENT_BYTES,
    Links,
    document,
    safe_url,
)
from bidder.render.words import words_of
from tests.bidder.catalogue.shelf import SHOP, product
from tests.bidder.render.shop import showcase

SIZES = ((300, 250), (728, 90), (320, 50), (970, 250), (160, 600), (300, 600), (320, 480))
CASES = [(size, layout) for size in SIZES for layout in suited(*size)]
TOKEN = "T" * 152
LINKS = Links(f"https://ads.example/click?t={TOKEN}", "https://ads.example/privacy?from=ad")
WOUNDS = (
    '"><script>alert(1)</script>',
    "</style><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "&#106;avascript:alert(1)",
    "\u202e\u0000</title><svg onload=alert(1)>",
    'https://shop.example/" onload="alert(1)',
)
VOID = {"img", "meta", "path"}
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "a",
    "span",
    "ul",
    "li",
    "img",
    "s",
    "b",
    "svg",
    "path",
}


class Reader(HTMLParser):
    """What a document holds, and whether its tags are in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, f"nobody wrote <{tag}>"
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


def shelf(count: int = MOST_PRODUCTS) -> list[Product]:
    """Products with long titles, the first on sale."""
    title = "A title of a product with all its colours, sizes and materials, told at length " * 3
    listed = [
        replace(product(n), title=title, image_url=f"https://cdn.example/{n}.jpg")
        for n in range(1, count + 1)
    ]
    listed[0] = replace(listed[0], sale_price_micros=500_000)
    return listed


def sound(text: str) -> Reader:
    """A document in which nothing can run and everything leads where we said."""
    read = Reader(text)
    for tag, attributes in read.found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        for name in ("href", "src"):
            if tag != "path" and name in attributes:
                assert re.match(r"https?://", attributes[name]) or (tag == "img" and not attributes[name])
    for link in read.all("a"):
        assert link["target"] == "_blank"
        assert link["rel"] == "noopener"
        assert link["href"].startswith((LINKS.click, LINKS.privacy))
    return read


@pytest.mark.parametrize(("size", "layout"), CASES)
def test_an_ad_is_a_light_document_that_anybody_can_read(size: tuple[int, int], layout: Layout) -> None:
    """Language, text for every picture, links that name product and layout, a mark that leads to the privacy page."""
    text, policy = document(showcase(size, "de"), layout, shelf(), LINKS)
    read = sound(text)
    assert len(text.encode()) < MAX_DOCUMENT_BYTES
    assert read.all("html") == [{"lang": "de", "dir": "ltr"}]
    shown = products_of(layout, *size)
    images, links = read.all("img"), read.all("a")
    assert len(images) == shown
    assert all("alt" in image and image["referrerpolicy"] == "no-referrer" for image in images)
    key = f"{product_key(SHOP, 'p1'):016x}"
    assert f"{LINKS.click}&p={key}&l={layout}" in [link["href"] for link in links]
    assert [link["href"] for link in links].count(LINKS.privacy) == 1
    assert words_of("de").choices in "".join(read.words)
    assert "0,50\u00a0€" in "".join(read.words)
    assert ("loading" in images[-1]) == (layout == "carousel" and shown > sheet(layout, *size, 0).eager)
    assert "script" not in policy
    assert "frame-ancestors *" in policy


@pytest.mark.parametrize(("size", "layout"), CASES)
def test_the_policy_lets_in_this_style_sheet_and_no_other(size: tuple[int, int], layout: Layout) -> None:
    """Its hash is that of what stands in the document."""
    text, policy = document(showcase(size), layout, shelf(), LINKS)
    style = re.findall(r"<style>(.*?)</style>", text)
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert len(style) == 1
    assert policy.startswith("default-src 'none'; img-src https:; ")
    assert f"style-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("wound", WOUNDS)
def test_a_hostile_feed_is_text(wound: str) -> None:
    """In every field, in every layout: what it says is shown, not done; an address that is none is left out."""
    for size, layout in CASES:
        bad = replace(
            product(1), title=wound, url=wound, image_url=wound, category=wound, brand=wound, currency=wound
        )
        ad = showcase(size, brand=wound)
        read = sound(document(ad, layout, [bad], LINKS)[0])
        assert not read.all("script")
        assert len(read.all("style")) == 1
        assert read.all("img")[0]["src"] == ""


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=80), url=st.text(max_size=60), language=st.sampled_from(["", "de", "ar", "xx"]))
def test_any_text_is_text(text: str, url: str, language: str) -> None:
    """Whatever characters a feed holds, the document stays the one that we wrote."""
    bad = replace(product(1), title=text, image_url=url, currency=text[:3])
    sound(document(showcase((300, 250), language, text), "grid", [bad] * 4, LINKS)[0])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://a.example/",
        "//a.example/x",
        "/x",
        "https://",
        "http:a",
        "https://[::1",
        "https://a.example/\n",
        *WOUNDS,
    ],
)
def test_addresses_that_may_not_stand_in_a_page(url: str) -> None:
    """No scheme but http and https, no host, control characters or quotes: no address."""
    assert safe_url(url) == ""


def test_addresses_that_may() -> None:
    """As they are."""
    for url in ("https://a.example/p?x=1&y=%20#z", "http://127.0.0.1:8080/p.png", "https://a.example/schön"):
        assert safe_url(url) == url


def test_the_first_load_is_within_what_exchanges_allow() -> None:
    """A document at its limit and pictures at theirs are 150 KB; six pictures of unknown weight are within."""
    assert MAX_DOCUMENT_BYTES + IMAGES_BYTES == FIRST_LOAD_BYTES == 150_000
    assert MOST_PRODUCTS * ASSUMED_IMAGE_BYTES <= IMAGES_BYTES


def test_a_brand_without_products_is_still_an_ad() -> None:
    """Its name and a button lead to the landing page."""
    for size, layout in CASES:
        read = sound(document(showcase(size), layout, [], LINKS)[0])
        assert LINKS.click in [link["href"] for link in read.all("a")]
        assert "Fernhill" in "".join(read.words)
        assert not read.all("img")


def test_prices_say_what_was_struck_through() -> None:
    """A sale price stands beside the one before, which is named for who cannot see the line; a sale price that is no
    lower is none, a price of nothing is not shown."""
    cases = [
        (replace(product(9), sale_price_micros=5_000_000), ["€9.00", "€5.00"]),
        (replace(product(9), sale_price_micros=9_000_000), ["€9.00"]),
        (replace(product(9), sale_price_micros=0), ["€9.00"]),
        (replace(product(9), price_micros=0), []),
    ]
    for each, prices in cases:
        read = sound(document(showcase(), "single", [each], LINKS)[0])
        assert [word for word in read.words if "€" in word] == prices
        assert ("Before" in "".join(read.words)) == (len(prices) == 2)


def test_texts_have_contrast() -> None:
    """4.5 to 1 at least of every colour of text on what it stands on (WCAG 1.4.3)."""
    pairs = [(accent, "#ffffff") for accent in ACCENTS]
    pairs += [(colour, "#ffffff") for colour in (module._INK, module._SOFT, module._SALE)]
    for one, other in pairs:
        light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, one


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_carousel_can_be_reached_and_motion_be_turned_off() -> None:
    """The row takes the focus, so that arrow keys scroll it; nothing moves for who wants no motion."""
    text, _ = document(showcase(), "carousel", shelf(), LINKS)
    row = Reader(text).all("ul")[0]
    assert row["tabindex"] == "0"
    assert row["aria-label"]
    style = text[text.index("<style>") : text.index("</style>")]
    assert "transition" not in style.replace(
        re.findall(r"@media\(prefers-reduced-motion:no-preference\){.*?}}", style)[0], ""
    )


@settings(max_examples=300, deadline=None)
@given(w=st.integers(120, 2_000), h=st.integers(50, 2_000), data=st.data())
def test_any_size_that_suits_has_a_sheet(w: int, h: int, data: st.DataObject) -> None:
    """With room for one product at least and MOST_PRODUCTS at most, some of them seen at first, in numbers above 0."""
    layout = data.draw(st.sampled_from(suited(w, h) or suited(300, 250)))
    if not suited(w, h):
        w, h = 300, 250
    found = sheet(layout, w, h, 3)
    assert 1 <= found.eager <= found.count <= MOST_PRODUCTS
    assert not re.search(r":-\d+px", found.css.replace("outline-offset:-3px", ""))


def test_what_is_too_small_has_no_layout() -> None:
    """No product can be told from another: 120 x 200 at least, a strip 234 x 50."""
    assert suited(120, 200)
    assert suited(234, 50)
    assert suited(119, 600) == suited(300, 199) == suited(233, 60) == suited(728, 49) == ()
