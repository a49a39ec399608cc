"""Creatives compiled: masks, security, types, markup."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.campaigns.ads import Ad, compile_ad, mask_of, render_html
from bidder.campaigns.model import Advertiser, Campaign, Creative, Goal, LineItem, MediaFile, NativeAssets
from bidder.opportunity import AUDIO, BANNER, NATIVE, VIDEO
from openrtb.check_media import banner_type

CLICK = "https://ads.example/click?t=abc&x=1"
BEACON = "https://ads.example/imp?t=def"


def _ad(kind: Any = "image", landing: str = "https://shop.example/", **fields: Any) -> Ad:
    creative = Creative(id="c", kind=kind, landing_url=landing, **fields)
    goal = Goal(kind="cpm", value=1)  # type: ignore[arg-type]  # not read here
    item = LineItem(id="l", goal=goal, max_bid_cpm=1, creatives=("c",))  # type: ignore[arg-type]  # likewise
    shop = Advertiser(
        id="a",
        name="A & B",
        domain="shop.example",
        currency="USD",
        creatives=(creative,),
        campaigns=(Campaign(id="k", name="k", line_items=(item,)),),
    )
    return compile_ad(shop, creative, 5)


def _image(url: str = "https://cdn.example/a.png", **fields: Any) -> Ad:
    return _ad("image", w=300, h=250, image_url=url, **fields)


def _html(text: str) -> Ad:
    return _ad("html", w=300, h=250, html=text)


@given(values=st.lists(st.integers(-5, 100)))
def test_masks(values: list[int]) -> None:
    """Values 0 to 63 are bits, all others are passed over."""
    assert mask_of(values) == sum(1 << value for value in {v for v in values if 0 <= v < 64})
    assert mask_of(None) == 0


def test_an_image_is_a_link_around_a_picture() -> None:
    """With the click URL, the picture in its size, and one beacon."""
    text = render_html(_image(alt='Boots "50%" <off>'), CLICK, BEACON)
    assert text.startswith(f'<a href="{CLICK}"')
    assert 'src="https://cdn.example/a.png" width="300" height="250"' in text
    assert "&quot;50%&quot; &lt;off&gt;" in text
    assert text.count(BEACON) == 1


def test_html_with_a_beacon_of_its_own_gets_no_second() -> None:
    """Where the markup names ${IMPRESSION_URL}, it says itself when it was seen."""
    own = render_html(_html('<a href="${CLICK_URL}">x</a><img src="${IMPRESSION_URL}">'), CLICK, BEACON)
    assert own.count(BEACON) == 1
    assert render_html(_html("<b>x</b>"), CLICK, BEACON).count(BEACON) == 1


def test_macros_of_exchanges_are_left_to_them() -> None:
    """AUCTION_ macros pass through."""
    text = render_html(_html("<i>${AUCTION_ID} ${AUCTION_PRICE} ${CLICK_URL_ESC}</i>"), CLICK, BEACON)
    assert "${AUCTION_ID} ${AUCTION_PRICE} https%3A%2F%2Fads.example%2Fclick%3Ft%3Dabc%26x%3D1" in text


def test_cache_busters_differ() -> None:
    """Each rendering has its own."""
    ad = _html("<i>${CACHEBUSTER}</i>")
    assert render_html(ad, CLICK, BEACON) != render_html(ad, CLICK, BEACON)


@pytest.mark.parametrize(
    ("url", "joined"), [("https://f.example/x", "x?click="), ("https://f.example/x?a=1", "x?a=1&amp;click=")]
)
def test_an_iframe_is_told_the_click(url: str, joined: str) -> None:
    """As one more parameter of its address."""
    text = render_html(_ad("iframe", w=300, h=250, iframe_url=url), CLICK, BEACON)
    assert f"{joined}https%3A%2F%2Fads.example" in text


_FILE = MediaFile(url="https://cdn.example/v.mp4", mime="video/mp4", bitrate_kbps=900, w=640, h=360)
_PLAIN_FILE = MediaFile(url="http://cdn.example/v.mp4", mime="video/mp4", bitrate_kbps=900, w=640, h=360)
_SOUND = MediaFile(url="https://c.example/a.mp3", mime="audio/mpeg", bitrate_kbps=1)
_CARD = NativeAssets(title="t", sponsored_by="s", image_url="https://c.example/i.png", image_w=1, image_h=1)
_PLAIN_CARD = NativeAssets(title="t", sponsored_by="s", icon_url="http://c.example/i.png", icon_w=1, icon_h=1)


@pytest.mark.parametrize(
    ("ad", "secure"),
    [
        (_image(), True),
        (_image("http://cdn.example/a.png"), False),
        (_image("http://127.0.0.1:8081/a.png"), True),
        (_image("https://cdn.example/a.png?u=http://x.example"), False),
        (_image(landing="http://shop.example/"), False),
        (_html('<img src="http://x.example/1.png">'), False),
        (_html('<img srcset="https://x.example/1.png 1x, http://x.example/2.png 2x">'), False),
        (_html('<svg xmlns="http://www.w3.org/2000/svg"></svg>'), True),
        (_ad("video", media_files=(_FILE,), duration_s=5), True),
        (_ad("video", media_files=(_FILE, _PLAIN_FILE), duration_s=5), False),
        (_ad("native", native=_CARD), True),
        (_ad("native", native=_PLAIN_CARD), False),
    ],
)
def test_security(ad: Ad, secure: bool) -> None:
    """Every address that a browser would load, wherever it stands; loopback is secure."""
    assert ad.secure is secure


@pytest.mark.parametrize(
    ("ad", "kind"),
    [
        (_image(), 2),
        (_html("<script></script>"), 3),
        (_html("<b>x</b>"), 2),
        (_html("<iframe src='https://x.example'></iframe>"), 4),
        (_ad("iframe", w=1, h=1, iframe_url="https://f.example/"), 4),
    ],
)
def test_the_type_of_a_banner_is_what_the_check_finds(ad: Ad, kind: int) -> None:
    """btype is judged by the markup that is sent."""
    assert ad.btypes == 1 << kind
    assert banner_type(render_html(ad, CLICK, BEACON)) == kind


def test_media_and_lists() -> None:
    """What a bid says of its ad; what is empty is absent."""
    ad = _image(categories=("IAB1-2",), attributes=(3, 16), apis=(5,), language="de")
    assert (ad.medium, ad.size, ad.category_list, ad.attribute_list, ad.api_list) == (
        BANNER,
        (300, 250),
        ["IAB1-2"],
        [3, 16],
        [5],
    )
    assert set(ad.category_names) == {"IAB1-2", "IAB1"}
    bare = _image()
    assert (bare.category_list, bare.attribute_list, bare.api_list, bare.language) == (None, None, None, "")
    assert _ad("native", native=_CARD).medium == NATIVE
    film = _ad("video", media_files=(_FILE,), duration_s=5)
    song = _ad(
        "audio",
        media_files=(MediaFile(url="https://c.example/a.mp3", mime="audio/mpeg", bitrate_kbps=1),),
        duration_s=5,
    )
    assert (film.medium, song.medium, film.duration_s) == (VIDEO, AUDIO, 5)
    assert film.vast is not None
    assert set(film.vast) == {2, 3, 7, 11, 13}
