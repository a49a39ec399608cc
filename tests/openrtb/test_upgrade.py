"""2.5 and 2.4 places folded into 2.6."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrtb.codec import decode_request
from openrtb.request import BidRequest
from openrtb.upgrade import upgrade
from openrtb.violation import Violation
from tests.corpus import compact, request_bodies

BODIES = request_bodies()
MOVES = [  # (2.5 place, 2.6 place)
    ("regs.ext.gdpr", "regs.gdpr"),
    ("regs.ext.us_privacy", "regs.us_privacy"),
    ("regs.ext.gpp", "regs.gpp"),
    ("regs.ext.gpp_sid", "regs.gpp_sid"),
    ("regs.ext.coppa", "regs.coppa"),
    ("user.ext.consent", "user.consent"),
    ("user.ext.eids", "user.eids"),
    ("source.ext.schain", "source.schain"),
    ("ext.schain", "source.schain"),
    ("device.ext.sua", "device.sua"),
    ("site.ext.inventorypartnerdomain", "site.inventorypartnerdomain"),
    ("app.ext.inventorypartnerdomain", "app.inventorypartnerdomain"),
    ("imp.0.ext.prebid.is_rewarded_inventory", "imp.0.rwdd"),
    ("imp.0.video.ext.rewarded", "imp.0.rwdd"),
    ("imp.0.native.request_native", "imp.0.native.request"),
]
VALUES: dict[str, Any] = {
    "regs.gdpr": 1,
    "regs.us_privacy": "1YNN",
    "regs.gpp": "DBAA",
    "regs.gpp_sid": [2, 6],
    "regs.coppa": 1,
    "user.consent": "CPxyz",
    "user.eids": [{"source": "id.example", "uids": [{"id": "abc", "atype": 1}]}],
    "source.schain": {"complete": 1, "ver": "1.0", "nodes": [{"asi": "a.example", "sid": "1", "hp": 1}]},
    "device.sua": {"browsers": [{"brand": "Chromium", "version": ["99"]}], "mobile": 0},
    "site.inventorypartnerdomain": "partner.example",
    "app.inventorypartnerdomain": "partner.example",
    "imp.0.rwdd": 1,
    "imp.0.native.request": '{"ver":"1.2","assets":[{"id":1}]}',
}


def _base() -> dict[str, Any]:
    return {"id": "r", "imp": [{"id": "1", "video": {"mimes": ["video/mp4"]}, "native": {"ver": "1.2"}}]}


def _put(body: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    holder: Any = body
    for part in above:
        holder = holder[int(part)] if part.isdigit() else holder.setdefault(part, {})
    holder[last] = value


def _upgraded(body: dict[str, Any]) -> BidRequest:
    request = decode_request(compact(body))
    upgrade(request)
    return request


@pytest.mark.parametrize(("old", "new"), MOVES)
def test_an_old_place_is_folded(old: str, new: str) -> None:
    """A value in its old place ends where a 2.6 request has it, and leaves no trace."""
    before, after = _base(), _base()
    value = VALUES[new]
    _put(before, old, json.loads(value) if new.endswith("request") else value)
    _put(after, new, value)
    assert _upgraded(before) == _upgraded(after)


@pytest.mark.parametrize(("old", "new"), MOVES)
def test_core_wins_when_both_are_present(old: str, new: str) -> None:
    """A core value is kept, whatever the old place says."""
    others: dict[str, Any] = {
        "regs.gdpr": 0,
        "regs.coppa": 0,
        "imp.0.rwdd": 0,
        "regs.gpp_sid": [7],
        "user.eids": [{"source": "other.example"}],
        "source.schain": {"ver": "9"},
        "device.sua": {"mobile": 1},
    }
    body, core = _base(), _base()
    other = {"assets": []} if new.endswith("request") else others.get(new, "other")
    _put(body, old, other)
    _put(body, new, VALUES[new])
    _put(core, new, VALUES[new])
    assert _upgraded(body) == _upgraded(core)


def test_an_empty_core_string_says_nothing() -> None:
    """A consent string in ext is not hidden by an empty one in core."""
    request = _upgraded(_base() | {"user": {"consent": "", "ext": {"consent": "CPxyz"}}, "regs": {"gpp": ""}})
    assert request.user is not None
    assert request.user.consent == "CPxyz"


def test_gpc_and_dsa_keep_their_official_place() -> None:
    """regs.ext keeps gpc and dsa when the other signals move out of it."""
    request = _upgraded(_base() | {"regs": {"ext": {"gpc": "1", "gdpr": 1, "dsa": {"dsarequired": 2}}}})
    assert request.regs is not None
    assert request.regs.gdpr == 1
    assert request.regs.ext is not None
    assert request.regs.ext.gpc == 1
    assert request.regs.ext.gdpr is None
    assert request.regs.ext.dsa is not None
    assert request.regs.ext.dsa.dsarequired == 2


def test_what_an_ext_says_besides_is_kept() -> None:
    """The kind of the advertising id and the placement id outlive the folding."""
    body = _base() | {"device": {"ext": {"ifa_type": "sessionid", "sua": {"mobile": 1}}}}
    body["imp"][0]["ext"] = {"gpid": "/1/x", "prebid": {"is_rewarded_inventory": 1}}
    request = _upgraded(body)
    assert request.device is not None
    assert request.device.ext is not None
    assert request.device.ext.ifa_type == "sessionid"
    assert request.imp[0].ext is not None
    assert request.imp[0].ext.gpid == "/1/x"
    assert request.imp[0].rwdd == 1


def test_a_native_object_becomes_text() -> None:
    """After the upgrade native.request is text; one nested too deeply to be written out is none."""
    body = _base()
    body["imp"][0]["native"]["request"] = {"assets": [{"id": 1}]}
    assert _upgraded(body).imp[0].native.request == '{"assets":[{"id":1}]}'  # type: ignore[union-attr]  # it is there
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    request = decode_request(b'{"id":"r","imp":[{"id":"1","native":{"request":{}}}]}')
    nested: dict[str, Any] = {}
    for _ in range(len(deep) // 6):
        nested = {"a": nested}
    native = request.imp[0].native
    assert native is not None
    native.request = nested
    upgrade(request)
    assert native.request is None


def test_a_single_protocol_is_a_list_of_one() -> None:
    """video.protocol, long deprecated, is read as protocols."""
    body = _base()
    body["imp"][0]["video"]["protocol"] = 3
    video = _upgraded(body).imp[0].video
    assert video is not None
    assert video.protocols == [3]


def _move(body: dict[str, Any], old: str, new: str) -> None:
    """Move a value of a plain body from its 2.5 to its 2.6 place, where only the 2.5 place holds one."""
    *above, last = old.split(".")
    holder: Any = body
    for part in above:
        holder = holder.get(part) if isinstance(holder, dict) else None
    if not isinstance(holder, dict) or holder.get(last) is None:
        return
    *target_above, target_last = new.split(".")
    target: Any = body
    for part in target_above:
        target = target.setdefault(part, {}) if isinstance(target, dict) else None
    if isinstance(target, dict) and not target.get(target_last):
        target[target_last] = holder.pop(last)


@given(st.sampled_from(BODIES))
def test_a_real_request_and_its_twin_end_equal(case: tuple[str, bytes]) -> None:
    """A 2.5 body and the same body with its fields in the 2.6 places are equal after the upgrade."""
    body = json.loads(case[1])
    twin = copy.deepcopy(body)
    for old, new in MOVES[:12]:
        _move(twin, old, new)
    try:
        first = _upgraded(body)
    except Violation:
        return
    assert _upgraded(twin) == first


@given(st.data())
def test_any_old_signals_and_their_twin_end_equal(data: st.DataObject) -> None:
    """Any subset of the moved fields gives the same request from either place."""
    moves = [move for move in MOVES if move[0] not in ("ext.schain", "imp.0.video.ext.rewarded")]
    before, after = _base(), _base()
    for old, new in data.draw(st.lists(st.sampled_from(moves), unique=True)):
        value = VALUES[new]
        _put(before, old, json.loads(value) if new.endswith("request") else value)
        _put(after, new, value)
    assert _upgraded(before) == _upgraded(after)


@given(st.sampled_from(BODIES))
def test_upgrading_twice_changes_nothing(case: tuple[str, bytes]) -> None:
    """What is 2.6 already stays as it is."""
    try:
        once, twice = decode_request(case[1]), decode_request(case[1])
    except Violation:
        return
    upgrade(once)
    upgrade(twice)
    upgrade(twice)
    assert once == twice
