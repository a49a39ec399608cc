"""openrtb/native_assets.py: what a slot asked for, through a URL, and the answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrtb.limits import MAX_ASSETS
from openrtb.native import Asset, DataText, Image, NativeRequest, Title, parse_native
from openrtb.native_answer import NativeCreative, NativeUrls, Picture, fit, markup
from openrtb.native_assets import MAX_ASKED, asked_text, assets_json, cut_text, read_asked

ASKED: dict[str, Any] = {
    "ver": "1.2",
    "aurlsupport": 1,
    "assets": [
        {"id": 1, "required": 1, "title": {"len": 20}},
        {"id": 2, "required": 1, "img": {"type": 3, "wmin": 600, "hmin": 300}},
        {"id": 3, "img": {"type": 1, "w": 80, "h": 80}},
        {"id": 4, "data": {"type": 6, "len": 10}},
        {"id": 5, "data": {"type": 12}},
        {"id": 6, "video": {"mimes": ["video/mp4"], "minduration": 1, "maxduration": 9, "protocols": [2]}},
    ],
}
TEXT = "1t20.2i3W600H300.3i1w80h80.4d6l10.5d12"
CARD = NativeCreative(
    title="Boots for winter and other seasons",
    price="€149.00",
    cta="Shop now",
    mains=(Picture("https://cdn.example/1.jpg", 0, 0),),
    icons=(Picture("https://cdn.example/i.png", 80, 80),),
)


def request() -> NativeRequest:
    parsed = parse_native(ASKED)
    assert isinstance(parsed, NativeRequest)
    return parsed


def test_what_is_asked_survives_the_url() -> None:
    """Assets without videos, in a text that needs no escaping."""
    text = asked_text(request())
    assert text == TEXT
    assert read_asked(text) == tuple(
        Asset(a.id, title=a.title, img=a.img, data=a.data) for a in request().assets or () if a.video is None
    )


def test_the_answer_mirrors_the_assets_of_a_bid() -> None:
    """With the lengths and types that nobody can look up; a picture whose size is not known says none."""
    asked = read_asked(TEXT)
    assert asked is not None
    link = {"url": "https://ads.example/click?t=x&p=1"}
    assert json.loads(assets_json(asked, CARD, link["url"])) == {
        "assets": [
            {"id": 1, "title": {"text": "Boots for winter…", "len": 20}, "link": link},
            {"id": 2, "img": {"type": 3, "url": "https://cdn.example/1.jpg"}, "link": link},
            {"id": 3, "img": {"type": 1, "url": "https://cdn.example/i.png", "w": 80, "h": 80}, "link": link},
            {"id": 4, "data": {"type": 6, "value": "€149.00", "len": 10}},
            {"id": 5, "data": {"type": 12, "value": "Shop now", "len": 8}},
        ]
    }


def test_what_the_creative_lacks_or_what_does_not_fit_is_left_out() -> None:
    """An icon of another size, a text that is too long, a logo that there is none of."""
    asked = read_asked("1i1w81h80.2d12l3.3d99.4i2w9h9.5t0")
    assert asked is not None
    answer = json.loads(assets_json(asked, CARD, "https://a.example/"))
    assert [part["id"] for part in answer["assets"]] == [5]


@pytest.mark.parametrize(
    "text",
    ["", ".", "1", "1t", "t1", "1x5", "1i", "1i3w", "1d", "1t20.", "1t20 ", "1t20.2", "1t٣", "1t99999", "-1t5",
     "1t1" + ".1t1" * MAX_ASSETS, "1" * 2_000],
)  # fmt: skip
def test_what_is_no_such_text_is_refused(text: str) -> None:
    """Whole, whatever its beginning says."""
    assert read_asked(text) is None


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing raises."""
    read_asked(text)


def test_too_much_is_not_told() -> None:
    """Beyond MAX_ASKED characters there is no URL of assets."""
    assets = tuple(Asset(100_000_000 + n, img=Image(3, w=10_000, h=10_000)) for n in range(MAX_ASSETS))
    text = asked_text(NativeRequest(assets))
    assert text == "" or (len(text) <= MAX_ASKED and read_asked(text) is not None)
    assert asked_text(NativeRequest((Asset(1, data=DataText(6, 3)), Asset(2, title=Title(9))))) == "1d6l3.2t9"


@given(text=st.text(max_size=60), limit=st.integers(0, 40))
def test_cut_texts_are_no_longer_than_asked(text: str, limit: int) -> None:
    """And what fits is not touched."""
    cut = cut_text(text, limit)
    assert not limit or len(cut) <= limit
    assert cut == text or (limit and len(text) > limit)


def test_the_url_stands_in_the_markup_where_the_slot_supports_it() -> None:
    """With what was asked behind it, beside the embedded assets, which are the fallback."""
    embedded = NativeCreative(
        title="Boots", mains=(Picture("https://cdn.example/n.png", 1200, 627),), cta="Shop"
    )
    urls = NativeUrls("https://ads.example/click?t=x", assets="https://ads.example/render/native?t=x&a=")
    matched = fit(request(), embedded, asked_text(request()))
    assert matched is not None
    answer = json.loads(markup(matched, urls))
    assert answer["assetsurl"] == f"https://ads.example/render/native?t=x&a={TEXT}"
    assert answer["assets"]
    plain = fit(request(), embedded)
    assert plain is not None
    assert "assetsurl" not in markup(plain, urls)
