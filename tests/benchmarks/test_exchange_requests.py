"""Simulated requests: real shapes, every dialect, the same for the same seed."""

import collections
import gzip
import random

import msgspec
import pytest

from benchmarks.exchange import consent
from benchmarks.exchange.dialects import DIALECTS, to_25
from benchmarks.exchange.population import Population, interest
from benchmarks.exchange.requests import Call, prebid_bodies, prepare
from bidder.fraud.supply import Supply
from bidder.privacy import tcf
from bidder.screening import EXCHANGE_DOMAINS
from openrtb.codec import decode_request
from openrtb.upgrade import upgrade
from openrtb.validate import validate
from tests.bidder.fraud.support import context

NOW_S = 1_795_000_000
CALLS = prepare(11, 1_500, NOW_S)


def plain(call: Call) -> bytes:
    """The body before the exchange compressed it."""
    return gzip.decompress(call.body) if call.dialect.gzip else call.body


def test_every_body_is_a_valid_request() -> None:
    """Each simulated body decodes, folds to 2.6 and breaks no rule of the protocol."""
    for call in CALLS:
        request = decode_request(plain(call))
        upgrade(request)
        validate(request)
        assert request.id == call.request["id"]


def test_chains_of_sellers_are_sound() -> None:
    """No chain is one that the bidder calls broken, so a report of fraud under this load tells of robots, not of the
    generator."""
    supply = Supply({}, {}, {}, EXCHANGE_DOMAINS)
    judged: collections.Counter[str] = collections.Counter()
    for call in CALLS:
        request = decode_request(plain(call))
        upgrade(request)
        if request.source is not None and request.source.schain is not None:
            told = msgspec.to_builtins(request.source)
            assert not supply.judge(context(call.dialect.name, source=told)[0]), (call.dialect.name, told)
            judged[call.dialect.name] += 1
    assert judged.keys() == {dialect.name for dialect in DIALECTS}


def test_equal_seeds_give_equal_bodies() -> None:
    """A stream is a function of its seed alone, and seeds differ."""
    again = prepare(11, 200, NOW_S)
    assert [call.body for call in again] == [call.body for call in CALLS[:200]]
    assert prepare(12, 5, NOW_S)[0].body != CALLS[0].body


def test_every_exchange_medium_and_signal_occurs() -> None:
    """A short stream shows all exchanges, media, inventories, deals, several imps and opt-outs."""
    assert {call.dialect.name for call in CALLS} == {dialect.name for dialect in DIALECTS}
    seen: collections.Counter[str] = collections.Counter()
    for call in CALLS:
        request = decode_request(plain(call))
        upgrade(request)
        seen.update(
            m for imp in request.imp for m in ("banner", "video", "audio", "native") if getattr(imp, m)
        )
        regs, device, user = request.regs, request.device, request.user
        assert device is not None
        assert user is not None
        seen["deal"] += any(imp.pmp is not None for imp in request.imp)
        seen["multi"] += len(request.imp) > 1
        seen["app"] += request.app is not None
        seen["gdpr without consent"] += bool(regs and regs.gdpr and not user.consent)
        seen["gdpr with consent"] += bool(regs and regs.gdpr and user.consent)
        seen["coppa"] += bool(regs and regs.coppa)
        seen["us opt-out"] += bool(regs and regs.us_privacy == "1YYN")
        seen["lmt"] += bool(device.lmt)
        seen["buyeruid"] += bool(user.buyeruid)
        seen["eids"] += bool(user.eids)
    assert len(seen) == 14
    assert all(seen.values()), seen


def test_production_bodies_have_production_size() -> None:
    """Our own shapes are as large as what large exchanges send: half of them above 2 KB, none above 9."""
    sizes = sorted(len(plain(call)) for call in CALLS if "wt" in call.request.get("ext", {}))
    assert 2_000 < sizes[len(sizes) // 2] < 4_500
    assert sizes[-1] < 9_000


def test_the_prebid_shapes_are_packaged() -> None:
    """The Prebid.js requests come with the package, so an installed demo finds them."""
    assert len(prebid_bodies()) == 154


@pytest.mark.parametrize("purposes", [(), (2, 7), consent.ALL_PURPOSES])
@pytest.mark.parametrize("vendors", [True, False])
def test_tc_strings_say_what_they_were_made_of(purposes: tuple[int, ...], vendors: bool) -> None:
    """Our decoder reads back the purposes and vendors that a string was made of, and accepts it."""
    tc = tcf.decode(consent.tc_string(purposes, NOW_S, vendors=vendors))
    assert tc is not None
    assert tcf.refusal(tc, NOW_S) is None
    assert tc.purposes_consent == tcf.purposes_mask(*purposes)
    assert (793 in tc.vendor_consents) is vendors


def test_the_25_form_holds_the_same_facts() -> None:
    """Moving the signals under ext and folding them back leaves the request as it was."""
    call = next(c for c in CALLS if c.dialect.name == "generic" and "eids" in c.request["user"])
    twin = decode_request(msgspec.json.encode(to_25(msgspec.json.decode(call.body))))
    assert twin.user is not None
    assert twin.user.eids is None
    original = decode_request(call.body)
    upgrade(twin)
    upgrade(original)
    for request in (twin, original):
        for holder in (request.user, request.regs, request.source, request.device):
            if holder is not None:
                holder.ext = None
    assert twin == original


def test_activity_follows_a_power_law() -> None:
    """Few people make much of the traffic, and the tail is long."""
    people, rng = Population(3, 2_000, NOW_S), random.Random(5)
    counts = collections.Counter(people.draw(rng).number for _ in range(20_000))
    busiest = sum(count for _, count in counts.most_common(200))
    assert busiest > 20_000 * 0.25
    assert len(counts) > 1_500


def test_people_are_the_same_in_every_process() -> None:
    """A person follows from seed and number, in whatever order people are asked for; so does their taste."""
    one, other = Population(3, 100, NOW_S), Population(3, 100, NOW_S)
    assert one[7] == [other[i] for i in range(99, 0, -1)][92]
    assert interest(one[7].id, "shop.example") == interest(other[7].id, "shop.example")
    share = sum(interest(one[i].id, "shop.example") > 0 for i in range(100)) / 100
    assert 0.25 < share < 0.65
