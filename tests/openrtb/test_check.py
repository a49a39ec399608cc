"""openrtb/check.py with check_media.py and check_markup.py: one fault each, and clean answers without any."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrtb.check import Fault, faults, first_fault
from openrtb.check_markup import read_vast
from openrtb.check_media import banner_type, size_fits
from openrtb.codec import decode_request
from openrtb.media import Banner, Format
from openrtb.native import NativeRequest, parse_native
from openrtb.native_answer import NativeCreative, NativeUrls, Picture, answer
from openrtb.request import BidRequest
from openrtb.response import BidResponse
from openrtb.upgrade import upgrade
from openrtb.vast import INLINE, MediaFile, Template, VastCreative, VastUrls
from openrtb.violation import Violation
from tests.corpus import rows

NATIVE = {
    "ver": "1.2",
    "assets": [
        {"id": 1, "required": 1, "title": {"len": 25}},
        {"id": 2, "required": 1, "img": {"type": 3, "w": 1200, "h": 627}},
    ],
}
FLEX = {"wratio": 4, "hratio": 3, "wmin": 400}
MP4 = MediaFile("https://cdn.example/s.mp4", "video/mp4", 640, 360, 800)
MP3 = MediaFile("https://cdn.example/s.mp3", "audio/mpeg", bitrate_kbps=96)
SPOT = VastCreative("cr-1", "Spot", 15_000, (MP4,))
LONG = VastCreative("cr-1", "Spot", 20_000, (MP4,))
RADIO = VastCreative("cr-2", "Spot", 15_000, (MP3,))
CARD = NativeCreative("Trail shoes", mains=(Picture("https://cdn.example/m.jpg", 1200, 627),))
VAST_URLS = VastUrls("https://t.example/i", "https://t.example/c", "https://t.example/e?")


def request_of(**fields: Any) -> BidRequest:
    """A request that offers all four media in one imp, with fields replaced; `imp` merges into the imp."""
    imp: dict[str, Any] = {
        "id": "1",
        "secure": 1,
        "bidfloor": 0.5,
        "banner": {"format": [{"w": 300, "h": 250}, FLEX], "w": 320, "h": 50},
        "video": {"mimes": ["video/mp4"], "protocols": [2, 3, 7], "minduration": 5, "maxduration": 30},
        "audio": {"mimes": ["audio/mpeg"], "maxduration": 30},
        "native": {"request": json.dumps(NATIVE)},
    }
    for name, value in fields.pop("imp", {}).items():
        imp[name] = {**imp[name], **value} if isinstance(value, dict) and name in imp else value
    body = {"id": "r", "imp": [imp, {"id": "2", "banner": {"w": 728, "h": 90}}], **fields}
    request = decode_request(json.dumps(body).encode())
    upgrade(request)
    return request


def answer_of(kind: str = "banner", response: dict[str, Any] | None = None, **fields: Any) -> BidResponse:
    """A good answer to `request_of()` in one medium, with fields of the bid (and the response) replaced."""
    request = parse_native(json.dumps(NATIVE))
    assert isinstance(request, NativeRequest)
    media: dict[str, dict[str, Any]] = {
        "banner": {"mtype": 1, "w": 300, "h": 250, "adm": "<a href='https://c.example'>x</a>"},
        "video": {"mtype": 2, "dur": 15, "protocol": 3, "adm": Template(SPOT, "3.0").render(VAST_URLS, "s")},
        "audio": {"mtype": 3, "dur": 15, "protocol": 3, "adm": Template(RADIO, "3.0").render(VAST_URLS, "s")},
        "native": {"mtype": 4, "adm": answer(request, CARD, NativeUrls("https://c.example"))},
    }
    bid = {
        "id": "b1",
        "impid": "1",
        "price": 1.0,
        "crid": "cr",
        "adomain": ["shop.example"],
        "cat": ["IAB18-1"],
        "ext": {"prebid": {"type": kind}},
        **media[kind],
        **fields,
    }
    whole = {"id": "r", "cur": "USD", "seatbid": [{"seat": "s1", "bid": [bid]}], **(response or {})}
    return msgspec.convert(whole, BidResponse)


def rates(amount: float, source: str, target: str) -> float | None:
    """One euro is two dollars, a pound has no rate."""
    return {("EUR", "USD"): amount * 2, ("USD", "EUR"): amount / 2}.get((source, target))


@pytest.mark.parametrize("kind", ["banner", "video", "audio", "native"])
def test_a_clean_answer_has_no_fault(kind: str) -> None:
    """A good bid in each medium passes, its markup read thoroughly too."""
    assert faults(request_of(), answer_of(kind), thorough=True) == []
    assert first_fault(request_of(), answer_of(kind)) is None


def dsa(**fields: Any) -> dict[str, Any]:
    """The part of a request that asks for transparency."""
    return {"regs": {"ext": {"dsa": fields}}}


def deal(**fields: Any) -> dict[str, Any]:
    """The part of an imp that offers one deal, `d`."""
    return {"pmp": {"deals": [{"id": "d", **fields}]}}


DEAL_BID = {"dealid": "d1", "price": 2.0, "adomain": ["de.shop.example"]}
DSA = dsa(dsarequired=3)
PMP = {"pmp": {"deals": [{"id": "d1", "bidfloor": 2, "wadomain": ["shop.example"], "wseat": ["s1"]}]}}

# (request, answer, fields at fault)
ONE_FAULT: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another request's id": ({}, {"response": {"id": "x"}}, "id"),
    "currency not in the list": ({"cur": ["EUR"]}, {}, "cur"),
    "currency not the default": ({}, {"response": {"cur": "EUR"}}, "cur"),
    "empty seatbid": ({}, {"response": {"seatbid": []}}, "seatbid"),
    "no seatbid, no reason": ({}, {"response": {"seatbid": None}}, "seatbid"),
    "seat without a bid": ({}, {"response": {"seatbid": [{"bid": []}]}}, "seatbid[0].bid"),
    "seat not in wseat": ({"wseat": ["s2"]}, {}, "seatbid[0].seat"),
    "seat in bseat": ({"bseat": ["s1"]}, {}, "seatbid[0].seat"),
    "no id": ({}, {"id": ""}, "id"),
    "unknown imp": ({}, {"impid": "3"}, "impid"),
    "no crid": ({}, {"crid": None}, "crid"),
    "empty crid": ({}, {"crid": ""}, "crid"),
    "no markup": ({}, {"adm": None}, "adm"),
    "price zero": ({}, {"price": 0.0}, "price"),
    "price negative": ({}, {"price": -1.0}, "price"),
    "price infinite": ({}, {"price": float("inf")}, "price"),
    "price not a number": ({}, {"price": float("nan")}, "price"),
    "below the floor": ({}, {"price": 0.49}, "price"),
    "below the floor after conversion": ({"imp": {"bidfloorcur": "EUR"}}, {"price": 0.99}, "price"),
    "floor without a rate": ({"imp": {"bidfloorcur": "GBP"}}, {"price": 9.0}, "price"),
    "no mtype": ({}, {"mtype": None}, "mtype"),
    "unknown mtype": ({}, {"mtype": 5}, "mtype"),
    "mtype not offered": ({}, {"impid": "2", "kind": "video"}, "mtype"),
    "type against mtype": ({}, {"ext": {"prebid": {"type": "video"}}}, "ext.prebid.type"),
    "no size": ({}, {"w": None}, "w"),
    "size not offered": ({}, {"w": 300, "h": 600}, "w"),
    "ratio not met": ({}, {"w": 400, "h": 301}, "w"),
    "ratio met but too narrow": ({}, {"w": 320, "h": 240}, "w"),
    "size and ratio": ({}, {"wratio": 4, "hratio": 3}, "wratio"),
    "ratio not offered": ({}, {"w": None, "h": None, "wratio": 1, "hratio": 1}, "wratio"),
    "half a ratio": ({}, {"w": None, "h": None, "wratio": 4}, "wratio"),
    "blocked type": ({"imp": {"banner": {"btype": [4]}}}, {"adm": "<IFRAME src='https://x'>"}, "adm"),
    "blocked attribute": ({"imp": {"banner": {"battr": [1, 3]}}}, {"attr": [3]}, "attr"),
    "blocked in native": ({"imp": {"native": {"battr": [3]}}}, {"kind": "native", "attr": [3]}, "attr"),
    "framework not offered": ({"imp": {"banner": {"api": [7]}}}, {"apis": [5, 7]}, "apis"),
    "no framework offered": ({}, {"apis": [3]}, "apis"),
    "not secure": ({}, {"adm": "<img src='http://x/y.png'> <img src='https://x/z.png'>"}, "adm"),
    "exp zero": ({}, {"exp": 0}, "exp"),
    "blocked advertiser": ({"badv": ["Shop.Example"]}, {}, "adomain"),
    "blocked parent": ({"badv": ["shop.example"]}, {"adomain": ["WWW.de.shop.example"]}, "adomain"),
    "no advertiser to compare": ({"badv": ["x.example"]}, {"adomain": None}, "adomain"),
    "blocked app": ({"bapp": ["com.x"]}, {"bundle": "com.x"}, "bundle"),
    "blocked category": ({"bcat": ["IAB18-1"]}, {}, "cat"),
    "blocked by its parent": ({"bcat": ["IAB18"]}, {}, "cat"),
    "another taxonomy": ({"bcat": ["53"], "cattax": 6}, {}, "cattax"),
    "blocked number": ({"bcat": ["53"], "cattax": 6}, {"cat": ["53"], "cattax": 6}, "cat"),
    "not an allowed category": ({"acat": ["IAB1"]}, {}, "cat"),
    "no category to allow": ({"acat": ["IAB1"]}, {"cat": None}, "cat"),
    "language not allowed": ({"wlang": ["de"]}, {"language": "en"}, "language"),
    "tag not allowed": ({"wlangb": ["en-GB"]}, {"langb": "en-US"}, "langb"),
    "unknown deal": ({"imp": PMP}, {"dealid": "d9"}, "dealid"),
    "deal where there are none": ({}, {"dealid": "d1"}, "dealid"),
    "below the deal's floor": ({"imp": PMP}, {"dealid": "d1", "price": 1.99}, "price"),
    "below a fixed price": ({"imp": deal(at=3, bidfloor=4)}, {"dealid": "d"}, "price"),
    "another advertiser's deal": ({"imp": deal(wadomain=["x.example"])}, {"dealid": "d"}, "adomain"),
    "a deal without advertiser": ({"imp": deal(wadomain=["x"])}, {"dealid": "d", "adomain": None}, "adomain"),
    "another seat's deal": ({"imp": deal(wseat=["s2"])}, {"dealid": "d"}, "dealid"),
    "open bid in a private auction": ({"imp": {"pmp": {"private_auction": 1}}}, {}, "dealid"),
    "no transparency": (DSA, {}, "ext.dsa"),
    "a long name": (DSA, {"ext": {"dsa": {"behalf": "x" * 101, "adrender": 1}}}, "ext.dsa"),
    "nobody renders": (dsa(pubrender=0), {"ext": {"dsa": {"adrender": 0}}}, "ext.dsa.adrender"),
    "both render": (dsa(pubrender=2), {"ext": {"dsa": {"adrender": 1}}}, "ext.dsa.adrender"),
    "protocol not listed": ({}, {"kind": "video", "protocol": 13}, "protocol"),
    "no protocol": ({}, {"kind": "video", "protocol": None}, "protocol"),
    "too long": ({}, {"kind": "video", "dur": 31}, "dur"),
    "too short": ({}, {"kind": "video", "dur": 4}, "dur"),
    "no length": ({}, {"kind": "audio", "dur": None}, "dur"),
    "not a required length": ({"imp": {"audio": {"rqddurs": [30]}}}, {"kind": "audio"}, "dur"),
    "a slot without mimes": ({"imp": {"video": {"mimes": []}}}, {"kind": "video"}, "mtype"),
    "a second skip button": ({"imp": {"video": {"skip": 1}}}, {"kind": "video", "attr": [16]}, "attr"),
    "below the price per second": ({"imp": {"video": {"mincpmpersec": 0.1}}}, {"kind": "video"}, "price"),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_FAULT)
def test_each_rule_is_seen_alone(name: str) -> None:
    """An answer that breaks one rule has exactly that fault, at its place."""
    asked, given_, field = ONE_FAULT[name]
    found = faults(request_of(**asked), answer_of(**given_), rates)
    assert [fault.path.removeprefix("seatbid[0].bid[0].") for fault in found] == [field], found
    assert first_fault(request_of(**asked), answer_of(**given_), rates) == found[0]


CLEAN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default currency": ({"cur": []}, {"response": {"cur": None}}),
    "listed currency": ({"cur": ["EUR"]}, {"response": {"cur": "EUR"}, "price": 0.25}),
    "a reason instead of bids": ({}, {"response": {"seatbid": None, "nbr": 2}}),
    "floor met exactly": ({}, {"price": 0.5}),
    "floor met after conversion": ({"imp": {"bidfloorcur": "EUR"}}, {"price": 1.0}),
    "markup on the win notice": ({}, {"adm": None, "nurl": "https://w.example"}),
    "the slot's own size": ({}, {"w": 320, "h": 50}),
    "a size of the ratio": ({}, {"w": 400, "h": 300}),
    "the ratio itself": ({}, {"w": None, "h": None, "wratio": 4, "hratio": 3}),
    "another type blocked": ({"imp": {"banner": {"btype": [1, 3, 4]}}}, {}),
    "a namespace is no address": ({}, {"adm": '<svg xmlns="http://www.w3.org/2000/svg"/>'}),
    "not asked to be secure": ({"imp": {"secure": 0}}, {"adm": "<img src='http://x/y.png'>"}),
    "other domains blocked": ({"badv": ["op.example", "example", "de.shop.example"]}, {}),
    "another child blocked": ({"bcat": ["IAB18-10", "IAB1"]}, {}),
    "a child does not block its parent": ({"bcat": ["IAB18-1"]}, {"cat": ["IAB18"]}),
    "numbers have no parents": ({"bcat": ["5"], "cattax": 6}, {"cat": ["53"], "cattax": 6}),
    "no category declared": ({"bcat": ["IAB1"]}, {"cat": None}),
    "allowed by its parent": ({"acat": ["IAB18"]}, {}),
    "allowed language": ({"wlang": ["EN"]}, {"language": "en"}),
    "a region of an allowed language": ({"wlangb": ["en"]}, {"langb": "en-US"}),
    "the language of an allowed tag": ({"wlangb": ["en-GB"]}, {"language": "en"}),
    "no language declared": ({"wlang": ["de"]}, {}),
    "a deal": ({"imp": PMP}, DEAL_BID),
    "an open bid beside deals": ({"imp": PMP}, {}),
    "a free deal beats the floor": ({"imp": deal(bidfloor=0)}, {"dealid": "d", "price": 0.1}),
    "a deal in a private auction": ({"imp": {"pmp": {"private_auction": 1, **PMP["pmp"]}}}, DEAL_BID),
    "transparency": (DSA, {"ext": {"dsa": {"behalf": "Fernweh", "paid": "Fernweh", "adrender": 1}}}),
    "transparency not required": (dsa(dsarequired=1), {}),
    "no framework needed": ({"imp": {"banner": {"api": [7]}}}, {"apis": [7]}),
    "a required length": ({"imp": {"audio": {"rqddurs": [15]}}}, {"kind": "audio"}),
    "no bounds, no length": ({"imp": {"audio": {"maxduration": None}}}, {"kind": "audio", "dur": None}),
    "the skip button is ours": ({"imp": {"video": {"skip": 0}}}, {"kind": "video", "attr": [16]}),
}  # fmt: skip


@pytest.mark.parametrize("name", CLEAN)
def test_what_is_allowed_is_no_fault(name: str) -> None:
    """Each rule's neighbour on the allowed side passes."""
    asked, given_ = CLEAN[name]
    assert faults(request_of(**asked), answer_of(**given_), rates) == []


def test_a_repeated_id_is_a_fault() -> None:
    """Bid ids are unique over all seats of a response."""
    response = answer_of()
    assert response.seatbid is not None
    response.seatbid = [*response.seatbid, *response.seatbid]
    assert faults(request_of(), response) == [Fault("seatbid[1].bid[0].id", "must be unique")]
    assert str(faults(request_of(), response)[0]) == "seatbid[1].bid[0].id: must be unique"


def test_every_fault_is_listed() -> None:
    """A bid with several faults is reported with all of them, the first one first."""
    found = faults(request_of(badv=["shop.example"]), answer_of(crid=None, price=0.1, w=1))
    assert [fault.path.rpartition(".")[2] for fault in found] == ["crid", "price", "w", "adomain"]


def test_without_rates_a_foreign_floor_is_a_fault() -> None:
    """Without rates a floor in another currency cannot be shown to be reached."""
    assert len(faults(request_of(imp={"bidfloorcur": "EUR"}), answer_of(price=99.0))) == 1


@pytest.mark.parametrize(
    ("kind", "adm", "rule"),
    [
        ("banner", "<a href='${CLICK_URL}'>", "macro"),
        ("banner", "<a href='https://x/?u=${CLICK_URL_ESC}'>", "macro"),
        ("video", "<VAST", "well-formed"),
        ("video", "<html/>", "well-formed"),
        ("video", '<!DOCTYPE VAST [<!ENTITY a "b">]><VAST version="3.0">&a;</VAST>', "well-formed"),
        ("video", "<VAST version='3.0'>\ud800</VAST>", "well-formed"),
        ("video", Template(SPOT, "2.0").render(VAST_URLS, "s"), "version"),
        ("video", '<VAST version="3.0"><Impression> </Impression></VAST>', "Impression"),
        ("video", Template(LONG, "3.0").render(VAST_URLS, "s"), "Duration"),
        ("video", '<VAST version="3.0"><Impression>i</Impression><Duration>x</Duration></VAST>', "Duration"),
        ("video", Template(RADIO, "3.0").render(VAST_URLS, "s"), "MediaFile"),
        ("audio", Template(SPOT, "3.0").render(VAST_URLS, "s"), "MediaFile"),
        ("native", "{}", "native markup"),
        ("native", '{"link":{"url":"https://c"},"assets":[]}', "required"),
    ],
)  # fmt: skip
def test_markup_is_read_when_asked(kind: str, adm: str, rule: str) -> None:
    """Markup that does not do what its slot asks is found by the thorough check, and by it alone."""
    response = answer_of(kind, adm=adm)
    assert faults(request_of(), response) == []
    found = faults(request_of(), response, thorough=True)
    assert [fault.path for fault in found] == ["seatbid[0].bid[0].adm"]
    assert rule in found[0].rule


def test_a_malformed_native_request_cannot_be_answered() -> None:
    """A native bid on a slot whose request is malformed is a fault."""
    found = faults(request_of(imp={"native": {"request": "{}"}}), answer_of("native"), thorough=True)
    assert "at least one asset" in found[0].rule


def test_a_wrapper_is_judged_by_what_it_holds() -> None:
    """A wrapper has its files elsewhere: only its impression can be asked for."""
    adm = '<VAST version="3.0"><Ad><Wrapper><Impression>https://i</Impression></Wrapper></Ad></VAST>'
    request = request_of(imp={"video": {"protocols": [6]}})
    assert faults(request, answer_of("video", protocol=6, adm=adm), thorough=True) == []


@pytest.mark.parametrize("protocol", INLINE)
def test_our_vast_reads_back(protocol: int) -> None:
    """Every version that we write reads as that version, with its impression, length and files."""
    vast = read_vast(Template(SPOT, INLINE[protocol]).render(VAST_URLS, "s"))
    assert vast is not None
    assert (vast.version, vast.impressions, vast.duration) == (INLINE[protocol], 1, "00:00:15")
    assert [file.mime for file in vast.media] == ["video/mp4"]


@pytest.mark.parametrize(
    ("banner", "w", "h", "fits"),
    [
        ({}, 300, 250, True),
        ({"w": 300, "h": 250}, 300, 250, True),
        ({"w": 300, "h": 250}, 300, 251, False),
        ({"w": 300}, 300, 250, False),
        ({"wmin": 300, "wmax": 400, "hmax": 300}, 320, 250, True),
        ({"wmin": 300, "wmax": 400}, 299, 250, False),
        ({"w": 400, "h": 300, "hmin": 200}, 390, 250, True),
        ({"w": 400, "h": 300, "hmin": 200}, 410, 250, False),
        ({"format": [{"w": 1, "h": 1}], "wmin": 100}, 300, 250, False),
        ({"format": []}, 300, 250, True),
    ],
)
def test_sizes(banner: dict[str, Any], w: int, h: int, fits: bool) -> None:
    """Listed sizes, the slot's own, the ranges of 2.4; a slot without any size takes all."""
    assert size_fits(msgspec.convert(banner, Banner), w, h) is fits


@given(st.lists(st.tuples(st.integers(1, 2000), st.integers(1, 2000)), min_size=1))
def test_every_listed_size_fits(sizes: list[tuple[int, int]]) -> None:
    """Whatever sizes a slot lists, each of them fits."""
    banner = Banner(format=[Format(w, h) for w, h in sizes])
    assert all(size_fits(banner, w, h) for w, h in sizes)


def test_banner_types() -> None:
    """Markup is told apart as iframe, JavaScript or plain."""
    assert [banner_type(adm) for adm in ("<iframe>", "<SCRIPT>", "<img>")] == [4, 3, 2]


@pytest.mark.corpus
def test_the_examples_of_the_specification() -> None:
    """The specification's answers, to a request for what they bid on, lack only what its examples omit."""
    seen = 0
    for row in rows("iab_responses"):
        try:
            response = msgspec.convert(row["body"], BidResponse, strict=False)
        except msgspec.ValidationError:
            continue
        seen += 1
        bids = [bid for seatbid in response.seatbid or () for bid in seatbid.bid]
        imps = [
            {"id": name, "pmp": {"deals": [{"id": bid.dealid} for bid in bids if bid.dealid]}}
            for name in {bid.impid for bid in bids} or {"1"}
        ]
        body = {"id": response.id, "imp": imps, "cur": [response.cur or "USD"]}
        found = faults(decode_request(json.dumps(body).encode()), response, thorough=True)
        fields = {fault.path.rpartition(".")[2] for fault in found}
        # An answer without bids or a reason is legal in the specification and useless to every exchange.
        assert fields <= ({"mtype", "crid", "adm"} if bids else {"seatbid"}), (row["src"], found)
    assert seen >= 10


@pytest.mark.corpus
def test_real_pairs_never_raise() -> None:
    """Any request with any answer that a bidder gave to it is judged, thoroughly, without an exception."""
    judged = clean = 0
    for row in rows("prebid_pairs"):
        try:
            request = decode_request(json.dumps(row["body"]["request"]).encode())
            response = msgspec.convert(row["body"]["response"], BidResponse, strict=False)
        except (Violation, msgspec.ValidationError):
            continue
        upgrade(request)
        judged += 1
        clean += not faults(request, response, rates, thorough=True)
    assert judged > 500
    assert clean > 20
