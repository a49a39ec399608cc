"""Bytes to a typed request: what is read, mended, dropped and refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import msgspec.inspect as inspect
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrtb import limits
from openrtb.codec import decode_request
from openrtb.request import BidRequest
from openrtb.upgrade import upgrade
from openrtb.validate import validate
from openrtb.violation import OverLimit, Violation
from tests.corpus import compact, request_bodies

BODIES = request_bodies()


def _request(**fields: Any) -> dict[str, Any]:
    return {"id": "r", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}]} | fields


def _imp(**fields: Any) -> dict[str, Any]:
    return {"id": "r", "imp": [{"id": "1"} | fields]}


def _get(request: BidRequest, path: str) -> Any:
    value: Any = request
    for part in path.split("."):
        value = value[int(part)] if part.isdigit() else getattr(value, part)
    return value


MENDED = [
    (_request(tmax="300"), "tmax", 300),
    (_request(tmax=300.0), "tmax", 300),
    (_request(tmax=" 300 "), "tmax", 300),
    (_request(tmax="300.0"), "tmax", 300),
    (_request(tmax=300.7), "tmax", 300),
    (_request(tmax="300.7"), "tmax", 300),
    (_request(tmax=[300]), "tmax", 300),
    (_request(tmax=""), "tmax", None),
    (_request(tmax="soon"), "tmax", None),
    (_request(tmax={}), "tmax", None),
    (_request(tmax=10**30), "tmax", None),
    (_request(tmax=2**31), "tmax", None),
    (_request(at=True), "at", 1),
    (_request(id=17), "id", "17"),
    (_request(id=17.0), "id", "17"),
    (_request(test=True), "test", 1),
    (_request(test="true"), "test", 1),
    (_request(cur="EUR"), "cur", ["EUR"]),
    (_request(cur="EUR, USD"), "cur", ["EUR", "USD"]),
    (_request(cur=["EUR", None]), "cur", ["EUR"]),
    (_request(cur=None), "cur", None),
    (_request(cur=""), "cur", []),
    (_request(bseat=[1, ""], regs={"gpp_sid": [6, ""]}), "regs.gpp_sid", [6]),
    (_request(bcat=["IAB1", None, "", 25]), "bcat", ["IAB1", "", "25"]),
    (_request(cattax="6"), "cattax", 6),
    (_request(badv=None), "badv", None),
    (_request(site=None), "site", None),
    (_request(site="example.com"), "site", None),
    (_request(site={"id": 4, "mobile": True}), "site.id", "4"),
    (_request(site={"cat": "IAB1"}), "site.cat", ["IAB1"]),
    (_request(site={"privacypolicy": True}), "site.privacypolicy", 1),
    (_request(site={"keywords": ["a", "b", None]}), "site.keywords", "a,b"),
    (_request(site={"domain": ["a", "b"]}), "site.domain", None),
    (_request(site={"ext": "amp"}), "site.ext", None),
    (_request(app={"ext": [], "bundle": 123456}), "app.bundle", "123456"),
    (_request(device={"geo": {"lat": "52.5", "lon": 13}}), "device.geo.lat", 52.5),
    (_request(device={"geo": {"lat": "nan"}}), "device.geo.lat", None),
    (_request(device={"geo": []}), "device.geo", None),
    (_request(device={"lmt": "1"}), "device.lmt", 1),
    (_request(device={"lmt": "true", "w": ""}), "device.lmt", 1),
    (_request(user={"yob": "1984", "id": 5}), "user.id", "5"),
    (
        _request(user={"eids": [None, "x", {"source": "s", "uids": [{"id": 7}, 3]}]}),
        "user.eids.0.uids.0.id",
        "7",
    ),
    (_request(user={"eids": {"source": "s"}}), "user.eids.0.source", "s"),
    (_request(user={"ext": 1}), "user.ext", None),
    (_request(regs={"gdpr": True}), "regs.gdpr", 1),
    (_request(regs={"ext": "x"}), "regs.ext", None),
    (_request(regs=[]), "regs", None),
    (_request(regs={"ext": {"gpc": "1"}}), "regs.ext.gpc", 1),
    (_request(regs={"gpp_sid": "2,6"}), "regs.gpp_sid", [2, 6]),
    (_request(source={"ext": {"schain": "1.0,1!a"}}), "source.ext.schain", None),
    (_imp(id=12), "imp.0.id", "12"),
    (_imp(banner={"w": "300", "h": 250.0, "battr": 3}), "imp.0.banner.battr", [3]),
    (_imp(banner={"w": 300.9, "h": 250}), "imp.0.banner.w", 300),
    (_imp(banner={"format": {"w": 1, "h": 2}}), "imp.0.banner.format.0.h", 2),
    (_imp(banner={"format": [None, 7, {"w": 1, "h": 2}]}), "imp.0.banner.format.0.w", 1),
    (_imp(banner="yes"), "imp.0.banner", None),
    (_imp(banner={"battr": ["x"]}), "imp.0.banner", None),
    (_imp(video={"boxingallowed": True, "skip": "false"}), "imp.0.video.skip", 0),
    (_imp(video={"protocols": [2, "3", "x", None]}), "imp.0.video.protocols", [2, 3]),
    (_imp(video={"mimes": None}), "imp.0.video.mimes", None),
    (_imp(video={"plcmt": 99}), "imp.0.video.plcmt", 99),
    (_imp(native={"ver": 1}), "imp.0.native.ver", "1"),
    (_imp(native={"request": {"assets": []}, "ver": 1.2}), "imp.0.native.request", {"assets": []}),
    (_imp(native={"request": 5}), "imp.0.native.request", None),
    (_imp(ext="x"), "imp.0.ext", None),
    (_imp(ext={"gpid": 5}), "imp.0.ext.gpid", "5"),
    (_imp(pmp={"private_auction": "1", "deals": [{"id": 9}]}), "imp.0.pmp.deals.0.id", "9"),
    (_imp(bidfloor="0.5"), "imp.0.bidfloor", 0.5),
    ({"id": "r", "imp": [None, "x", {"id": "1"}]}, "imp.0.id", "1"),
    ({"id": "r", "imp": {"id": "1"}}, "imp.0.id", "1"),
]


@pytest.mark.parametrize(("body", "path", "value"), MENDED, ids=lambda v: str(v)[:60])
def test_sloppy_input_is_read_as_it_is_meant(body: dict[str, Any], path: str, value: Any) -> None:
    """What JSON says in another way is read, what is junk is dropped."""
    assert _get(decode_request(compact(body)), path) == value


REFUSED = [
    (_request(id=None), "id: is required"),
    (_request(id=""), "id: must not be empty"),
    (_request(id={}), "id: must be a string"),
    ({"imp": [{"id": "1"}]}, "id: is required"),
    ({"id": "r"}, "imp: is required"),
    ({"id": "r", "imp": []}, "imp: must not be empty"),
    ({"id": "r", "imp": "x"}, "imp: must not be empty"),
    ({"id": "r", "imp": [{"id": "1"}, {}]}, "imp[1].id: is required"),
    (_imp(id=""), "imp[0].id: must not be empty"),
    (
        _imp(banner={"format": [{"w": 1, "h": 1}, {"w": -1}]}),
        "imp[0].banner.format[1].w: must not be negative",
    ),
    (_imp(video={"companionad": [{"h": "-5"}]}), "imp[0].video.companionad[0].h: must not be negative"),
    (_imp(pmp={"deals": [{"bidfloor": 1}]}), "imp[0].pmp.deals[0].id: is required"),
    (_imp(pmp={"private_auction": "maybe"}), "imp[0].pmp.private_auction: must be a number"),
    (_imp(pmp="all"), "imp[0].pmp: must be an object"),
    (_imp(bidfloor="high"), "imp[0].bidfloor: must be a number"),
    (_request(device={"ppi": -1}), "device.ppi: must not be negative"),
    (_request(device={"lmt": "perhaps"}), "device.lmt: must be a number"),
    (_request(device="phone"), "device: must be an object"),
    (_request(regs="gdpr"), "regs: must be an object"),
    (_request(regs={"gdpr": "yes"}), "regs.gdpr: must be a number"),
    (_request(regs={"us_privacy": {"a": 1}}), "regs.us_privacy: must be a string"),
    (_request(regs={"ext": {"gpc": "on"}}), "regs.ext.gpc: must be a number"),
    (_request(regs={"gpp_sid": [2, "x"]}), "regs.gpp_sid[1]: must be a number"),
    (_request(badv=[{"domain": "a.com"}]), "badv[0]: must be a string"),
    (_request(test="a"), "test: must be a number"),
    ([], "request: must be a JSON object"),
    (None, "request: must be a JSON object"),
    ("x", "request: must be a JSON object"),
    (7, "request: must be a JSON object"),
]


@pytest.mark.parametrize(("body", "line"), REFUSED, ids=lambda v: str(v)[:60])
def test_breakage_is_one_clear_line(body: Any, line: str) -> None:
    """What is required or would break a rule of bidding if it were dropped is a violation that says where."""
    with pytest.raises(Violation) as caught:
        decode_request(compact(body))
    assert str(caught.value) == line


GOOD = compact(_request())
NOT_JSON = [
    b"",
    b" ",
    b"{",
    b'{"id":"r"',
    GOOD + b"x",
    GOOD + GOOD,
    b'{"id":"\xff","imp":[{"id":"1"}]}',
    b'{"id":"r","unread":"\xff","imp":[{"id":"1"}]}',
    b'{"id":"r","\xc3\x28":1,"imp":[{"id":"1"}]}',
    b'{"id":"\xed\xa0\x80","imp":[{"id":"1"}]}',
    b'{"id":"\\ud800","imp":[{"id":"1"}]}',
    b'{"id":"r","unread":"\\udc00\\ud800","imp":[{"id":"1"}]}',
    b'{"id":"r","imp":[{"id":"1"}],"x":NaN}',
    b'{"id":"r","imp":[{"id":"1","bidfloor":1e999}]}',
    b'{"id":"r","imp":[{"id":1' + b"0" * 5000 + b"}]}",
    b"[" * 200_000,
    b'{"id":"r","imp":[{"id":"1"}],"ext":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    b"\xef\xbb\xbf" * 50_000,
    b"\x00" * 100,
    GOOD.decode().encode("utf-16"),
]


@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
def test_what_is_no_json_is_a_violation(body: bytes) -> None:
    """Truncated, doubled, wrongly encoded and bottomless bodies are refused, and nothing else happens."""
    with pytest.raises(Violation, match=r"request: is not JSON|is not UTF-8|is nested too deeply"):
        decode_request(body)


def test_a_byte_order_mark_is_ignored() -> None:
    """A body that starts with one is read as if it did not."""
    assert decode_request(b"\xef\xbb\xbf" + GOOD) == decode_request(GOOD)


def test_of_duplicate_keys_the_last_wins() -> None:
    """On the fast path and on the slow path alike."""
    assert decode_request(b'{"id":"a","id":"b","imp":[{"id":"1"}]}').id == "b"
    assert decode_request(b'{"id":"a","id":7,"imp":[{"id":1}]}').id == "7"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"id": "r", "imp": [{"id": str(i)} for i in range(limits.MAX_IMPS + 1)]}, "imp"),
        (_imp(banner={"format": [{"w": 1}] * (limits.MAX_FORMATS + 1)}), "imp[0].banner.format"),
        (_imp(pmp={"deals": [{"id": "d"}] * (limits.MAX_DEALS + 1)}), "imp[0].pmp.deals"),
        (_request(user={"eids": [{"source": "s"}] * (limits.MAX_EIDS + 1)}), "user.eids"),
        (_request(user={"ext": {"eids": [{}] * (limits.MAX_EIDS + 1)}}), "user.ext.eids"),
        (_request(user={"eids": [{"uids": [{}] * (limits.MAX_UIDS + 1)}]}), "user.eids[0].uids"),
        (_request(source={"schain": {"nodes": [{}] * (limits.MAX_NODES + 1)}}), "source.schain.nodes"),
        (_request(badv=["a.example"] * (limits.MAX_LISTED + 1)), "badv"),
        (_request(wlang=["en"] * (limits.MAX_CODES + 1)), "wlang"),
        (_imp(banner={"w": 1, "btype": [1] * (limits.MAX_CODES + 1)}), "imp[0].banner.btype"),
        (_imp(video={"durfloors": [{}] * (limits.MAX_CODES + 1)}), "imp[0].video.durfloors"),
        (
            _imp(pmp={"deals": [{"id": "d", "wadomain": ["a"] * (limits.MAX_LISTED + 1)}]}),
            "imp[0].pmp.deals[0].wadomain",
        ),
        (_request(site={"cat": ["IAB1"] * (limits.MAX_CATEGORIES + 1)}), "site.cat"),
        (_request(site={"kwarray": ["a"] * (limits.MAX_WORDS + 1)}), "site.kwarray"),
        (_request(user={"data": [{}] * (limits.MAX_PROVIDERS + 1)}), "user.data"),
        (_request(user={"data": [{"segment": [{}] * (limits.MAX_WORDS + 1)}]}), "user.data[0].segment"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_over_a_limit_is_told_from_malformed(body: dict[str, Any], path: str) -> None:
    """One thing too many is an OverLimit at its place; one less passes."""
    with pytest.raises(OverLimit) as caught:
        decode_request(compact(body))
    assert caught.value.path == path
    parts = path.replace("[0]", ".0").split(".")
    holder: Any = body
    for part in parts[:-1]:
        holder = holder[int(part)] if part.isdigit() else holder[part]
    holder[parts[-1]].pop()
    decode_request(compact(body))


@pytest.mark.parametrize(
    ("body", "path", "most"),
    [
        (_request(device={"geo": {"country": ""}}), "device.geo.country", limits.MAX_NAME_CHARS),
        (_request(user={"geo": {"city": ""}}), "user.geo.city", limits.MAX_NAME_CHARS),
        (_request(device={"language": ""}), "device.language", limits.MAX_NAME_CHARS),
        (_request(site={"cat": [""]}), "site.cat[0]", limits.MAX_NAME_CHARS),
        (_request(site={"keywords": ""}), "site.keywords", limits.MAX_KEYWORDS_CHARS),
        (_imp(native={"request": ""}), "imp[0].native.request", limits.MAX_NATIVE_CHARS),
        (_imp(native={"request_native": ""}), "imp[0].native.request_native", limits.MAX_NATIVE_CHARS),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_text_over_its_limit_is_told_from_malformed(body: dict[str, Any], path: str, most: int) -> None:
    """One character too many of what somebody remembers answers by is an OverLimit at its place; one less passes."""
    *parts, last = path.replace("[0]", ".0").split(".")
    holder: Any = body
    for part in parts:
        holder = holder[int(part)] if part.isdigit() else holder[part]
    key: Any = int(last) if last.isdigit() else last
    holder[key] = "é" * (most + 1)
    with pytest.raises(OverLimit) as caught:
        decode_request(compact(body))
    assert caught.value.path == path
    holder[key] = "é" * most
    decode_request(compact(body))


def test_keywords_as_a_list_keep_to_the_limit_of_the_text() -> None:
    """What is joined to one text is as long as that text may be."""
    with pytest.raises(OverLimit):
        decode_request(compact(_request(site={"keywords": ["word"] * limits.MAX_KEYWORDS_CHARS})))


def _unbounded(kind: inspect.Type, path: str, seen: set[type]) -> list[str]:
    if isinstance(kind, inspect.UnionType):
        return [found for inner in kind.types for found in _unbounded(inner, path, seen)]
    if isinstance(kind, inspect.ListType):
        return ([] if kind.max_length else [path]) + _unbounded(kind.item_type, f"{path}[]", seen)
    if not isinstance(kind, inspect.StructType) or kind.cls in seen:
        return []
    seen.add(kind.cls)
    return [found for field in kind.fields for found in _unbounded(field.type, f"{path}.{field.name}", seen)]


def test_every_list_of_a_request_has_a_bound() -> None:
    """Nothing that a request holds can be longer than openrtb.limits says, whatever is added to it one day."""
    assert _unbounded(inspect.type_info(BidRequest), "", set()) == []


def _intake(body: bytes) -> BidRequest | None:
    """The whole intake; None for a violation."""
    try:
        request = decode_request(body)
        upgrade(request)
        validate(request)
    except Violation:
        return None
    return request


@given(st.binary(max_size=400))
def test_any_bytes_give_a_request_or_a_violation(body: bytes) -> None:
    """Nothing but Violation escapes for arbitrary bytes."""
    _intake(body)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
JUNK = JSON_VALUES | st.sampled_from(
    ["", " 7 ", "1e5", "nan", "-1", -1, 1e300, 2**70, 10**400, [], {}, [[]], [None]]
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    found = [path] if path else []
    for key, inner in items:
        found += _places(inner, (*path, key))
    return found


@given(st.data())
def test_any_mutation_of_a_real_request_gives_a_request_or_a_violation(data: st.DataObject) -> None:
    """With values of a real request replaced by junk, only Violation escapes; what is read fits its types."""
    _, body = data.draw(st.sampled_from(BODIES))
    value = json.loads(body)
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(value)
        if not places:
            break
        *above, last = data.draw(st.sampled_from(places))
        holder = value
        for part in above:
            holder = holder[part]
        holder[last] = copy.deepcopy(data.draw(JUNK))  # the next round may change what it drew
    request = _intake(json.dumps(value).encode())
    if request is not None:
        fits = msgspec.json.decode(msgspec.json.encode(request), type=BidRequest)
        assert fits == request


@given(st.data())
def test_any_damage_to_real_bytes_gives_a_request_or_a_violation(data: st.DataObject) -> None:
    """Cut or with bytes overwritten, a real body never does worse than Violation."""
    _, body = data.draw(st.sampled_from(BODIES))
    damaged = bytearray(body[: data.draw(st.integers(0, len(body)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    _intake(bytes(damaged))


@given(st.data())
def test_the_slow_path_reads_what_the_fast_path_reads(data: st.DataObject) -> None:
    """Mending changes nothing that was sound: forced down the slow path, a request comes out the same."""
    _, body = data.draw(st.sampled_from(BODIES))
    value = json.loads(body)
    try:
        fast = decode_request(body)
    except Violation:
        return
    if not isinstance(value.get("site", {}), dict):
        return
    value["site"] = {**(value.get("site") or {}), "search": 5}
    slow = decode_request(compact(value))
    assert slow.site is not None
    assert slow.site.search == "5"
    slow.site.search = fast.site.search if fast.site is not None else None
    if fast.site is None:
        slow.site = None
    assert slow == fast
