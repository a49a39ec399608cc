"""openrtb/native.py and openrtb/native_answer.py: what a native slot asks, and how it is answered."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrtb.check_markup import native_fault
from openrtb.codec import decode_request
from openrtb.limits import MAX_ASSETS, MAX_NATIVE_CHARS
from openrtb.native import NativeRequest, parse_native
from openrtb.native_answer import (
    Fit,
    NativeCreative,
    NativeUrls,
    Picture,
    VideoFacts,
    answer,
    fit,
    markup,
)
from openrtb.upgrade import upgrade
from openrtb.violation import Violation
from tests.corpus import rows

SHOE = NativeCreative(
    title="Trail shoes for every weather, made from recycled yarn",
    short_title="Trail shoes",
    sponsored="Fernweh",
    description="Light, dry and quick: the shoe that runners wear from October to April.",
    short_description="Light, dry and quick",
    rating="4.6",
    price="89.00 EUR",
    cta="Shop now",
    display_url="fernweh.example",
    icons=(Picture("https://cdn.example/icon80.png", 80, 80, "image/png"),),
    mains=(
        Picture("https://cdn.example/wide.jpg", 1200, 627, "image/jpeg"),
        Picture("https://cdn.example/square.jpg", 600, 600, "image/jpeg"),
        Picture("https://cdn.example/small.jpg", 320, 180, "image/jpeg"),
    ),
    video=VideoFacts(15, ("video/mp4",), (3, 7)),
)
URLS = NativeUrls(
    click="https://c.example/click?t=1",
    click_trackers=("https://c.example/ct",),
    impressions=("https://c.example/imp?p=${AUCTION_PRICE}",),
    privacy="https://c.example/privacy",
    vast="<VAST/>",
)


def parsed(*assets: dict[str, Any], **fields: Any) -> NativeRequest:
    """Parse a request that must be well formed."""
    request = parse_native(json.dumps({"assets": assets, **fields}))
    assert isinstance(request, NativeRequest)
    return request


def answered(request: NativeRequest, creative: NativeCreative = SHOE) -> dict[str, Any]:
    """Answer a request that must be answerable, and judge the answer."""
    text = answer(request, creative, URLS)
    assert text is not None
    assert native_fault(request, text) is None
    document: dict[str, Any] = json.loads(text)
    return document


TITLE = {"id": 1, "required": 1, "title": {"len": 90}}


@pytest.mark.corpus
def test_malformed_natives_are_recognised() -> None:
    """Every native that Prebid Server refuses is a Violation here."""
    bodies = [row["body"] for row in rows("pbs_invalid_generic") if row["meta"]["group"] == "invalid-native"]
    assert len(bodies) == 8
    for body in bodies:
        assert isinstance(parse_native(body["imp"][0]["native"]["request"]), Violation), body


@pytest.mark.corpus
def test_well_formed_natives_pass() -> None:
    """Every native that Prebid Server accepts is parsed, and each of its assets gets an id."""
    bodies = [row["body"] for row in rows("pbs_valid_generic") if row["meta"]["group"] == "valid-native"]
    assert len(bodies) == 5
    for body in bodies:
        request = parse_native(body["imp"][0]["native"]["request"])
        assert isinstance(request, NativeRequest), body
        ids = [asset.id for asset in request.assets or ()]
        assert None not in ids
        assert len(set(ids)) == len(ids)


def test_committed_natives_are_answered() -> None:
    """Each native request that Prebid.js writes is parsed, and our markup for it passes the judge."""
    natives = [
        imp["native"]["request"]
        for row in rows("pbjs_requests")
        for imp in row["body"].get("imp", ())
        if "request" in imp.get("native", ())
    ]
    assert natives
    for text in natives:
        request = parse_native(text)
        assert isinstance(request, NativeRequest), text
        answered(request)


def video(**fields: Any) -> dict[str, Any]:
    """Return a video asset of 1 to 8 seconds, with some fields replaced."""
    return {"video": {"mimes": ["a"], "protocols": [3], "minduration": 1, "maxduration": 8, **fields}}


BAD: list[tuple[Any, str]] = [
    ("", ""),
    (None, ""),
    ({}, ""),
    ("not json", ""),
    ('"text"', ""),
    ("[]", ""),
    ("{}", "assets"),
    ({"native": {"assets": []}}, "assets"),
    ({"assets": None}, "assets"),
    ({"assets": [{"id": 1}]}, "assets[0]"),
    ({"assets": [{**TITLE, "data": {"type": 1}}]}, "assets[0]"),
    ({"assets": [TITLE, TITLE]}, "assets[1].id"),
    ({"assets": [{"title": {"len": 0}}]}, "assets[0].title.len"),
    ({"assets": [{"data": {}}]}, "assets[0].data.type"),
    ({"assets": [{"data": {"type": 13}}]}, "assets[0].data.type"),
    ({"assets": [{"img": {"w": -1}}]}, "assets[0].img"),
    ({"assets": [video(protocols=[])]}, "assets[0].video.protocols"),
    ({"assets": [video(minduration=None)]}, "assets[0].video.minduration"),
    ({"assets": [video(maxduration=None)]}, "assets[0].video.maxduration"),
    ({"assets": [video(minduration=9)]}, "assets[0].video.maxduration"),
    ({"assets": [TITLE], "context": 4}, "context"),
    ({"assets": [TITLE], "context": -1}, "context"),
    ({"assets": [TITLE], "contextsubtype": 40}, "contextsubtype"),
    ({"assets": [TITLE], "context": 1, "contextsubtype": 20}, "contextsubtype"),
    ({"assets": [TITLE], "plcmttype": 5}, "plcmttype"),
    ({"assets": [TITLE], "eventtrackers": [{"methods": [1]}]}, "eventtrackers[0].event"),
    ({"assets": [TITLE], "eventtrackers": [{"event": 5, "methods": [1]}]}, "eventtrackers[0].event"),
    ({"assets": [TITLE], "eventtrackers": [{"event": 1}]}, "eventtrackers[0].methods"),
    ({"assets": [TITLE], "eventtrackers": [{"event": 1, "methods": [3]}]}, "eventtrackers[0].methods"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "path"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_each_rule_names_its_place(request_: Any, path: str) -> None:
    """A native that breaks one rule is a Violation at that place, as an object and as text."""
    for form in (request_, json.dumps(request_) if isinstance(request_, dict) and request_ else request_):
        violation = parse_native(form)
        assert isinstance(violation, Violation)
        assert violation.path == path


def test_sloppy_types_are_tolerated() -> None:
    """Numbers as text or floats, nulls, booleans, odd versions and unknown fields do not matter."""
    text = (
        '{"ver":1.1,"context":"1","contextsubtype":null,"privacy":true,"layout":3,'
        '"assets":[{"id":"7","required":true,"title":{"len":25.0,"x":{}}},{"id":8,"img":{"type":"3","w":null}}]}'
    )
    request = parse_native(text)
    assert isinstance(request, NativeRequest)
    assert [asset.id for asset in request.assets or ()] == [7, 8]
    assert request.privacy
    assert answered(request)["assets"][0] == {"id": 7, "title": {"text": "Trail shoes"}}


def test_values_of_the_exchanges_own_are_tolerated() -> None:
    """From 500 on, values are the exchange's own: no fault, and what we do not know is not answered."""
    request = parsed(
        TITLE,
        {"id": 2, "data": {"type": 500}},
        context=500,
        contextsubtype=501,
        plcmttype=502,
        eventtrackers=[{"event": 555, "methods": [500]}],
    )
    assert [asset["id"] for asset in answered(request)["assets"]] == [1]


def test_the_wrapper_makes_no_difference() -> None:
    """Bare, wrapped, as text, bytes or object: the same request."""
    bare: dict[str, Any] = {"ver": "1.2", "assets": [TITLE]}
    forms: list[Any] = [
        bare,
        {"native": bare},
        json.dumps(bare),
        json.dumps({"native": bare}),
        json.dumps(bare).encode(),
    ]
    assert len({parse_native(form) for form in forms}) == 1


def test_a_deep_nest_is_a_violation() -> None:
    """JSON nested beyond any sense is malformed, not a crash."""
    assert isinstance(parse_native('{"native":' * 100_000), Violation)


def test_missing_ids_get_the_lowest_free_ones() -> None:
    """Assets without an id are numbered around those that have one."""
    request = parsed({"title": {"len": 25}}, {"id": 0, "data": {"type": 1}}, {"img": {"type": 3}})
    assert [asset.id for asset in request.assets or ()] == [1, 0, 2]


names = st.sampled_from(["native", "assets", "id", "title", "img", "video", "data", "len", "eventtrackers"])
scalars = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(names, inner)))
def test_any_json_is_parsed_or_refused(value: Any) -> None:
    """Whatever JSON arrives, the result is a request or a Violation."""
    assert isinstance(parse_native(json.dumps(value)), NativeRequest | Violation)


def test_a_full_answer() -> None:
    """Texts, images, link, trackers and privacy link stand where version 1.2 wants them."""
    request = parsed(
        TITLE,
        {"id": 2, "required": 1, "img": {"type": 3, "wmin": 300, "hmin": 157}},
        {"id": 3, "img": {"type": 1, "wmin": 50, "hmin": 50}},
        {"id": 4, "data": {"type": 1, "len": 40}},
        {"id": 5, "data": {"type": 12, "len": 15}},
        eventtrackers=[{"event": 1, "methods": [1, 2]}],
        privacy=1,
    )
    assert answered(request) == {
        "ver": "1.2",
        "link": {"url": URLS.click, "clicktrackers": list(URLS.click_trackers)},
        "assets": [
            {"id": 1, "title": {"text": SHOE.title}},
            {"id": 2, "img": {"url": "https://cdn.example/wide.jpg", "w": 1200, "h": 627}},
            {"id": 3, "img": {"url": "https://cdn.example/icon80.png", "w": 80, "h": 80}},
            {"id": 4, "data": {"value": "Fernweh"}},
            {"id": 5, "data": {"value": "Shop now"}},
        ],
        "eventtrackers": [{"event": 1, "method": 1, "url": URLS.impressions[0]}],
        "privacy": URLS.privacy,
    }


@pytest.mark.parametrize(
    "trackers", [None, [], [{"event": 2, "methods": [1]}], [{"event": 1, "methods": [2]}]]
)
def test_impressions_fall_back_to_imptrackers(trackers: Any) -> None:
    """Where the request allows no impression image as an event tracker, the older field carries it, alone."""
    document = answered(parsed(TITLE, eventtrackers=trackers))
    assert document["imptrackers"] == list(URLS.impressions)
    assert "eventtrackers" not in document
    assert "privacy" not in document


@pytest.mark.parametrize(
    "asset",
    [
        {"title": {"len": 5}},
        {"img": {"type": 1, "w": 64, "h": 64}},
        {"img": {"type": 3, "wmin": 1201, "hmin": 1}},
        {"img": {"type": 3, "mimes": ["image/webp"]}},
        {"data": {"type": 1, "len": 3}},
        {"data": {"type": 8}},
        {"data": {"type": 500}},
        {"video": {"mimes": ["video/webm"], "minduration": 1, "maxduration": 60, "protocols": [3]}},
        {"video": {"mimes": ["video/mp4"], "minduration": 1, "maxduration": 14, "protocols": [3]}},
        {"video": {"mimes": ["video/mp4"], "minduration": 1, "maxduration": 60, "protocols": [2]}},
    ],
)
def test_a_required_asset_without_an_answer_means_no_bid(asset: dict[str, Any]) -> None:
    """What is required and cannot be answered ends in None; the same asset as an option is left out."""
    assert fit(parsed(TITLE, {"id": 2, "required": 1, **asset}), SHOE) is None
    document = answered(parsed(TITLE, {"id": 2, "required": 0, **asset}))
    assert [part["id"] for part in document["assets"]] == [1]


def test_nothing_answered_means_no_bid() -> None:
    """A request of options only, none of which the creative has, gets no markup."""
    assert fit(parsed({"id": 1, "data": {"type": 8}}), SHOE) is None


def test_the_shorter_text_is_used_not_a_cut_one() -> None:
    """Where the long text is too long the short one stands in; texts are never cut."""
    document = answered(parsed({"id": 1, "title": {"len": 25}}, {"id": 2, "data": {"type": 2, "len": 25}}))
    assert document["assets"][0]["title"]["text"] == SHOE.short_title
    assert document["assets"][1]["data"]["value"] == SHOE.short_description


@pytest.mark.parametrize(
    ("img", "name"),
    [
        ({"type": 3, "w": 600, "h": 600}, "square"),
        ({"type": 3, "w": 1200, "wmin": 300, "h": 627, "hmin": 157}, "wide"),
        ({"type": 3, "wmin": 160, "hmin": 90}, "small"),
        ({"type": 3, "wmin": 100, "hmin": 100}, "square"),
        ({"type": 3, "mimes": ["image/jpg"], "wmin": 1000}, "wide"),
        ({"type": 1}, "icon80"),
        ({"type": 2}, "icon80"),
        ({"w": 80, "h": 80}, "icon80"),
    ],
)
def test_the_picture_nearest_in_shape_is_taken(img: dict[str, Any], name: str) -> None:
    """Exact sizes are met exactly, minimum sizes by the picture of that shape, else by the smallest."""
    assert name in answered(parsed({"id": 1, "img": img}))["assets"][0]["img"]["url"]


def test_several_main_images_are_different_ones() -> None:
    """A slot for several main images gets each picture once before any twice."""
    request = parsed(*({"id": number, "required": 1, "img": {"type": 3}} for number in range(4)))
    urls = [part["img"]["url"] for part in answered(request)["assets"]]
    assert len(set(urls)) == len(SHOE.mains)


def test_a_video_asset_gets_the_tag() -> None:
    """A video asset is answered with the VAST text of the bid, beside other assets or alone."""
    video = {
        "id": 9,
        "required": 1,
        "video": {"mimes": ["video/mp4"], "minduration": 5, "maxduration": 30, "protocols": [7]},
    }
    tag = {"id": 9, "video": {"vasttag": "<VAST/>"}}
    assert answered(parsed(video))["assets"] == [tag]
    assert answered(parsed(video, TITLE))["assets"][-1] == tag


@given(title=st.text(min_size=1), url=st.text(min_size=1), limit=st.integers(min_value=1, max_value=50))
def test_any_text_makes_well_formed_json(title: str, url: str, limit: int) -> None:
    """Quotes, controls and any script in texts and URLs come back unchanged, and never over the limit."""
    request = parsed({"id": 1, "required": 1, "title": {"len": limit}})
    text = answer(request, NativeCreative(title=title), NativeUrls(click=url, impressions=(url,)))
    if len(title) > limit:
        assert text is None
        return
    assert text is not None
    document = json.loads(text)
    assert document["assets"][0]["title"]["text"] == title
    assert document["link"]["url"] == url
    assert document["imptrackers"] == [url]


def test_the_fit_is_reusable() -> None:
    """A fit holds nothing of a bid: the same one serves another bid's URLs."""
    matched = fit(parsed(TITLE), SHOE)
    assert isinstance(matched, Fit)
    first, second = (
        markup(matched, URLS),
        markup(matched, msgspec.structs.replace(URLS, click="https://x.example")),
    )
    assert json.loads(first)["assets"] == json.loads(second)["assets"]
    assert json.loads(second)["link"]["url"] == "https://x.example"


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        '{"assets":[]}',
        '{"link":{},"assets":[]}',
        '{"link":{"url":"u"},"assets":[]}',
        '{"link":{"url":"u"},"assets":[{"id":5,"title":{"text":"t"}}]}',
        '{"link":{"url":"u"},"assets":[{"id":1,"title":{"text":"t"}},{"id":1,"title":{"text":"t"}}]}',
        '{"link":{"url":"u"},"assets":[{"id":1,"title":{"text":""}}]}',
        '{"link":{"url":"u"},"assets":[{"id":1,"title":{"text":"%s"}}]}' % ("t" * 91),
        '{"link":{"url":"u"},"assets":[{"id":1,"title":{"text":"t"}},{"id":2,"data":{"value":"123456"}}]}',
        '{"link":{"url":"u"},"assets":[{"id":1,"title":{"text":"t"}},{"id":3,"img":{"url":"u","w":1,"h":1}}]}',
        '{"link":{"url":"u"},"assets":[{"id":1,"title":{"text":"t"}},{"id":4,"video":{}}]}',
    ],
)  # fmt: skip
def test_the_judge_sees_each_fault(text: str) -> None:
    """A markup that breaks one rule of version 1.2 is refused."""
    request = parsed(
        TITLE,
        {"id": 2, "data": {"type": 1, "len": 5}},
        {"id": 3, "img": {"type": 3, "w": 10, "h": 10}},
        {"id": 4, "video": {"mimes": ["video/mp4"], "minduration": 5, "maxduration": 30, "protocols": [7]}},
    )
    assert native_fault(request, text) is not None


@pytest.mark.parametrize("excess", [0, 1])
def test_a_native_request_of_too_many_assets_is_refused(excess: int) -> None:
    """MAX_ASSETS are read, one more is a violation: every creative is held against each of them."""
    asked = {"assets": [{"title": {"len": 9}}] * (MAX_ASSETS + excess)}
    assert isinstance(parse_native(asked), Violation) is bool(excess)


def test_a_native_object_too_long_as_text_is_none() -> None:
    """What arrives as an object is bounded like what arrives as text."""
    request = decode_request(
        msgspec.json.encode(
            {"id": "r", "imp": [{"id": "1", "native": {"request": {"x": "y" * MAX_NATIVE_CHARS}}}]}
        )
    )
    upgrade(request)
    assert request.imp[0].native is not None
    assert request.imp[0].native.request is None
