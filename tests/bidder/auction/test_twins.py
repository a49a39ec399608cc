"""An OpenRTB 2.5 body and its 2.6 twin are the same request: same decision, same price, same everything."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.exchanges import Exchange
from bidder.notices.token import Audience, Claim, open_token
from bidder.outcome import Outcome
from openrtb.response import Bid
from tests.bidder.auction.market import Everybody, Matched, market
from tests.bidder.auction.support import NOW_S, RING, Asked, Bench, config_of
from tests.corpus import rows

Json = dict[str, Any]
MOVES = (
    ("regs", "gdpr"),
    ("regs", "us_privacy"),
    ("regs", "gpp"),
    ("regs", "gpp_sid"),
    ("user", "consent"),
    ("user", "eids"),
    ("source", "schain"),
    ("device", "sua"),
    ("site", "inventorypartnerdomain"),
    ("app", "inventorypartnerdomain"),
)
PROFILE = Exchange(name="prebid", eid_sources=("id5-sync.com", "uidapi.com"), ext_prebid_type=True)
BODIES: list[Json] = [row["body"] for row in rows("pbjs_requests")]
USERS: tuple[Json, ...] = (
    {"buyeruid": f"{7:032x}"},
    {"eids": [{"source": "uidapi.com", "uids": [{"id": "e"}]}]},
)
REGS: tuple[Json, ...] = (
    {"gdpr": 0},
    {"gdpr": 1},
    {"us_privacy": "1YYN"},
    {"us_privacy": "1YNN"},
    {"gpp": "DBABTA~1YYN", "gpp_sid": [6]},
)
_TOKEN = re.compile(r"(?<=t=)[A-Za-z0-9_-]{80,}|(?<=t%3D)[A-Za-z0-9_-]{80,}")
_BUSTER = re.compile(r"\b[0-9a-f]{16}\b|\b[0-9a-f]{24}\b")


def _twin(body: Json, in_ext: frozenset[int], rewarded: str) -> Json:
    """The same request with the numbered fields in their 2.5 places and all others in core."""
    twin = copy.deepcopy(body)
    for number, (holder, field) in enumerate(MOVES):
        held = twin.get(holder)
        if not isinstance(held, dict):
            continue
        ext = held.get("ext") or {}
        value = held.pop(field, None)
        old = ext.pop(field, None)
        value = old if value is None else value
        if value is None:
            continue
        if number in in_ext:
            held["ext"] = ext | {field: value}
        else:
            held[field] = value
    for imp in twin["imp"]:
        _move_reward(imp, rewarded)
    return twin


def _move_reward(imp: Json, place: str) -> None:
    value = imp.pop("rwdd", None)
    if value is None:
        return
    if place == "prebid":
        imp["ext"] = (imp.get("ext") or {}) | {"prebid": {"is_rewarded_inventory": value}}
    elif place == "video" and "video" in imp:
        imp["video"]["ext"] = (imp["video"].get("ext") or {}) | {"rewarded": value}
    else:
        imp["rwdd"] = value


def _decision(call: Asked) -> tuple[Outcome | None, list[tuple[Bid, Claim]]]:
    """What was decided, without what is random: ids, tokens, cache busters."""
    return call.outcome, [(_still(bid), _claim(bid)) for bid in call.bids]


def _still(bid: Bid) -> Bid:
    bid = copy.copy(bid)
    bid.id = ""
    for field in ("nurl", "burl", "lurl", "adm"):
        text = getattr(bid, field)
        if text:
            setattr(bid, field, _BUSTER.sub("#", _TOKEN.sub("#", text)))
    return bid


def _claim(bid: Bid) -> Claim:
    token = (bid.nurl or "").rpartition("t=")[2]
    claim = open_token(token, RING, Audience.EXCHANGE, NOW_S)
    assert isinstance(claim, Claim)
    assert claim.bid_id.hex() == bid.id
    return Claim(**{name: getattr(claim, name) for name in claim.__struct_fields__} | {"bid_id": b""})


_CONFIG = config_of(vendor_id=6, exchanges=(PROFILE,))
_BENCHES = (Bench(market(), Everybody(), _CONFIG), Bench(market(), Matched(), _CONFIG))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    body=st.sampled_from(BODIES),
    bench=st.sampled_from(_BENCHES),
    changes=st.fixed_dictionaries(
        {"tmax": st.just(1_000)},
        optional={
            "at": st.sampled_from((1, 2)),
            "user": st.sampled_from(USERS),
            "regs": st.sampled_from(REGS),
            "device": st.sampled_from(({"sua": {"platform": {"brand": "Android"}, "mobile": 1}}, {})),
        },
    ),
    rewarded=st.booleans(),
    in_ext=st.frozensets(st.integers(0, len(MOVES) - 1)),
    place=st.sampled_from(("core", "prebid", "video")),
)
def test_twins_get_one_decision(
    body: Json, bench: Bench, changes: Json, rewarded: bool, in_ext: frozenset[int], place: str
) -> None:
    """Whichever fields stand in their 2.5 places, the outcome, the price, the ad and the claim are those of 2.6."""
    body = copy.deepcopy(body) | changes
    if rewarded:
        for imp in body["imp"]:
            imp["rwdd"] = 1
    core = _twin(body, frozenset(), "core")
    mixed = _twin(body, in_ext, place)
    one, two = (bench.ask(twin, profile=PROFILE)[0] for twin in (core, mixed))
    assert _decision(one) == _decision(two)


@pytest.mark.parametrize("bench", _BENCHES, ids=["buyeruid", "matches"])
def test_the_whole_of_each_real_request_moved(bench: Bench) -> None:
    """Each real request, entirely 2.5 and entirely 2.6: the same decision, and bids among them."""
    outcomes = set()
    for body in BODIES:
        body = body | {"tmax": 1_000}
        old, new = _twin(body, frozenset(range(len(MOVES))), "prebid"), _twin(body, frozenset(), "core")
        one, two = (bench.ask(twin, profile=PROFILE)[0] for twin in (old, new))
        assert _decision(one) == _decision(two)
        outcomes.add(one.outcome)
    assert Outcome.BID in outcomes


def test_moved_fields_matter() -> None:
    """The twins are not equal because nobody looks: consent, ids, device and reward each change a decision."""
    bench = _BENCHES[0]
    base: Json = {
        "id": "r",
        "tmax": 500,
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
        "site": {"domain": "news.example"},
        "user": {"buyeruid": f"{7:032x}"},
    }
    plain = _decision(bench.ask(base)[0])
    for change in (
        {"regs": {"ext": {"gdpr": 1}}},
        {"regs": {"ext": {"us_privacy": "1YYN"}}},
        {"device": {"ext": {"sua": {"platform": {"brand": "Android"}}}}},
        {"imp": [base["imp"][0] | {"ext": {"prebid": {"is_rewarded_inventory": 1}}}]},
    ):
        assert _decision(bench.ask(base | change)[0]) != plain, change
