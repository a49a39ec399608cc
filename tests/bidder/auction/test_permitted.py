"""The path of a bid does with a person what the table of permissions allows, and nothing else."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.notices.token import NOBODY, Audience, Claim, open_token
from bidder.outcome import Outcome
from bidder.privacy.gate import Gate
from bidder.privacy.signals import Signals, signals_of
from tests.bidder.auction.market import market, visitor
from tests.bidder.auction.support import NOW_S, RING, Bench, Known, config_of, request_of, world_of
from tests.bidder.privacy.signals import SIGNALS, VENDOR
from tests.corpus import compact

VISITOR = visitor()
WORLD = world_of(market(), config_of(vendor_id=VENDOR))
GATE = Gate(VENDOR)


def request_with(signals: Signals, match: bool) -> dict[str, Any]:
    """A request of the visitor that carries these signals, in the places where exchanges put them."""
    ids: dict[str, Any] = {"id": "u7"} if match else {"buyeruid": VISITOR.id.hex()}
    return {
        "id": "r",
        "tmax": 100,
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
        "site": {"domain": "news.example"},
        "user": ids | {"consent": signals.tc_string, "geo": {"country": signals.home}},
        "device": {
            "lmt": int(signals.limited),
            "geo": {"country": signals.country, "zip": "12345", "lat": 52.5, "lon": 13.4},
        },
        "regs": {
            "gdpr": signals.gdpr,
            "gpp": signals.gpp,
            "gpp_sid": list(signals.gpp_sections),
            "us_privacy": signals.us_privacy,
            "coppa": int(signals.coppa),
            "ext": {"gpc": "1" if signals.gpc else "0", "s22580": int(signals.minor)},
        },
    }


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(signals=SIGNALS, match=st.booleans())
def test_a_person_is_read_counted_and_named_only_where_the_table_says_so(
    signals: Signals, match: bool
) -> None:
    """Whatever a request says: the store is asked only with `read_id`, views are written only of whom was read, the
    token names the person only with `personalise`, and as measured only with `measure`."""
    body = compact(request_with(signals, match))
    allowed = GATE.permit(signals_of(request_of(body)), NOW_S)
    people = Known({VISITOR.id: VISITOR, "generic/u7": VISITOR})
    bench = Bench(WORLD, people)
    (call,) = bench.ask(body)
    assert any(lookup is not None for asked in people.asked for lookup in asked) is allowed.read_id
    assert allowed.read_id or not bench.views.finished
    assert call.outcome is Outcome.BID
    for bid in call.bids:
        claim = open_token((bid.burl or "").rpartition("t=")[2], RING, Audience.EXCHANGE, NOW_S)
        assert isinstance(claim, Claim)
        assert claim.person == (VISITOR.id if allowed.personalise else NOBODY)
        assert claim.measured is (allowed.personalise and allowed.measure)
        assert VISITOR.id.hex() not in compact(call.sent.decode()).decode()
