"""Invalid traffic on the path of a bid: filtered and counted, or bid on and marked."""

from __future__ import annotations

from typing import Any

import msgspec

from bidder.exchanges import Exchange
from bidder.fraud.networks import Networks, parse
from bidder.notices.token import Audience, Claim, open_token
from bidder.outcome import Outcome, nbr
from bidder.screening import FraudRules
from tests.bidder.auction.market import market
from tests.bidder.auction.support import NOW_S, PLAIN, RING, Asked, Bench

MARKET = market()
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36"
)


def _request(ua: str = CHROME, ip: str = "198.51.100.7", **more: Any) -> dict[str, Any]:
    return {
        "id": "r",
        "tmax": 100,
        "imp": [{"id": "1", "tagid": "top", "banner": {"w": 300, "h": 250}}],
        "site": {"domain": "news.example", "publisher": {"id": "pub"}},
        "device": {"ua": ua, "ip": ip},
    } | more


def _claim(call: Asked) -> Claim:
    (bid,) = call.bids
    assert bid.nurl is not None
    token = bid.nurl.partition("t=")[2].partition("&")[0]
    claim = open_token(token, RING, Audience.EXCHANGE, NOW_S)
    assert isinstance(claim, Claim)
    return claim


def test_filtered() -> None:
    """A crawler gets no bid, a person in the same batch does, and both are in the books."""
    bench = Bench(MARKET, fraud=FraudRules())
    crawler, person = bench.ask(_request("Googlebot/2.1 (+http://www.google.com/bot.html)"), _request())
    assert (crawler.outcome, crawler.sent) == (Outcome.INVALID_TRAFFIC, b"")
    assert person.outcome is Outcome.BID
    assert bench.total("paceline_invalid_traffic_requests_total", "generic", "filtered") == 1
    assert bench.total("paceline_invalid_traffic_reasons_total", "generic", "crawler") == 1
    assert bench.balance() == 0
    assert not _claim(person).suspect


def test_the_reason_is_told() -> None:
    """An exchange that wants its no-bids in JSON is told: suspected non-human traffic."""
    exchange = Exchange(name="generic", no_bid="json")
    (call,) = Bench(MARKET, fraud=FraudRules()).ask(_request("curl/8.0"), profile=exchange)
    assert msgspec.json.decode(call.sent)["nbr"] == nbr(Outcome.INVALID_TRAFFIC) == 4


def test_marked() -> None:
    """A browser in a data centre is bid on; the token says that it was suspect, and names the placement."""
    bench = Bench(MARKET, fraud=FraudRules())
    assert bench.screen is not None
    bench.screen.networks = Networks(parse(["203.0.113.0/24"], "cloud").networks)
    cloud, person = bench.ask(_request(ip="203.0.113.9"), _request())
    assert _claim(cloud).suspect
    assert not _claim(person).suspect
    assert _claim(cloud).placement == _claim(person).placement != 0
    assert bench.total("paceline_invalid_traffic_requests_total", "generic", "marked") == 1


def test_placements_differ() -> None:
    """Tokens of two placements name two, as far as 16 bits can."""
    bench = Bench(MARKET, fraud=FraudRules())
    other = [{"id": "1", "tagid": "bottom", "banner": {"w": 300, "h": 250}}]
    one, two = bench.ask(_request(), _request(imp=other))
    assert _claim(one).placement != _claim(two).placement


def test_tests_are_nobodys_traffic() -> None:
    """A test request is answered whoever sends it."""
    (call,) = Bench(MARKET, fraud=FraudRules()).ask(_request("curl/8.0", test=1))
    assert call.outcome is Outcome.BID


def test_switched_off() -> None:
    """Without a screen all traffic is believed."""
    (call,) = Bench(MARKET).ask(_request("curl/8.0"))
    assert call.outcome is Outcome.BID


def test_a_fault_of_ours_loses_one_request() -> None:
    """Should the screen fail, the request ends as our fault, and the others of the batch are answered."""
    bench = Bench(MARKET, fraud=FraudRules())
    assert bench.screen is not None
    bench.screen.chain = Broken()
    calls = bench.ask(_request(), _request(test=1))
    assert [call.outcome for call in calls] == [Outcome.FAULT, Outcome.BID]


class Broken:
    """Knows nothing."""

    def judge(self, context: object) -> int:
        raise RuntimeError("broken")


def test_profiles_are_told_apart() -> None:
    """Counts are by exchange."""
    bench = Bench(MARKET, fraud=FraudRules())
    bench.ask(_request("curl/8.0"), profile=PLAIN)
    assert bench.total("paceline_invalid_traffic_requests_total", "generic") == 1
    assert bench.total("paceline_invalid_traffic_requests_total", "xandr") == 0
