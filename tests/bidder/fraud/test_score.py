"""The judgement of a request, and what the operator's rules make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.fraud.networks import Networks, parse
from bidder.fraud.reasons import REASONS, Reason, names
from bidder.fraud.score import Screen
from bidder.fraud.verdict import CLEAN, Policy
from bidder.metrics import Tally
from bidder.screening import FraudRules, Policies, Weights
from tests.bidder.fraud.support import NOW_S, context, judged, screen

CLOUD = Networks(parse(["203.0.113.0/24", "2001:db8:7::/48"], "cloud").networks)


def test_ordinary_requests_are_clean() -> None:
    """Nothing is said against a person with a browser."""
    subject = screen()
    assert subject.judge(*context(), NOW_S) is CLEAN
    assert (CLEAN.filtered, CLEAN.suspect, CLEAN.score) == (False, False, 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device": {"ua": "Googlebot/2.1 (+http://www.google.com/bot.html)"}}, Reason.CRAWLER),
        ({"device": {"ua": "PostmanRuntime/7.26.8"}}, Reason.TOOL),
        ({"device": {"ua": None}}, Reason.NO_AGENT),
        ({"device": None}, Reason.NO_AGENT),
        ({"device": {"sua": {"platform": {"brand": "Android"}}}}, Reason.CONTRADICTION),
        ({"device": {"ip": "203.0.113.9"}}, Reason.DATACENTRE),
        ({"device": {"ip": None, "ipv6": "2001:db8:7::1"}}, Reason.DATACENTRE),
        ({"imp": [{"id": "1", "banner": {"w": 1, "h": 1}}]}, Reason.PLACEMENT),
        ({"site": {"domain": None, "page": None, "id": "7"}}, Reason.NAMELESS),
        ({"device": {"geo": {"country": "USA", "utcoffset": 480}}}, Reason.MISMATCH),
    ],
)
def test_each_reason(changes: dict[str, Any], reason: Reason) -> None:
    """Each fault of a request has its one reason."""
    subject = screen()
    subject.networks = CLOUD
    assert judged(subject, **changes) == reason


def test_policies() -> None:
    """What is ignored is not looked at, marks add up; filter ends the request, and so does a score at the threshold."""
    crawler, agentless = int(Reason.CRAWLER), int(Reason.NO_AGENT)
    assert Policy(FraudRules(policies=Policies(crawler="ignore"))).verdict(crawler) is CLEAN
    marked = Policy(FraudRules(policies=Policies(crawler="mark"), weights=Weights(crawler=40))).verdict(
        crawler
    )
    assert (marked.filtered, marked.suspect, marked.score) == (False, False, 40)
    filtered = Policy(FraudRules(weights=Weights(crawler=0))).verdict(crawler)
    assert (filtered.filtered, filtered.suspect) == (True, True)
    policy = Policy(FraudRules(threshold=100, suspect=50))
    alone, both = policy.verdict(agentless), policy.verdict(agentless | Reason.DATACENTRE)
    assert (alone.filtered, alone.suspect, alone.score) == (False, True, 50)
    assert (both.filtered, both.suspect, both.score) == (True, True, 100)
    assert policy.verdict(agentless) is alone


def test_data_centres_alone_are_never_filtered() -> None:
    """By default people behind a VPN or iCloud Private Relay are bid on: they are marked, no more."""
    verdict = Policy(FraudRules()).verdict(int(Reason.DATACENTRE))
    assert (verdict.filtered, verdict.suspect) == (False, True)


def _asked(subject: Screen, per_s: int, seconds: int, **changes: Any) -> int:
    """Ask so often, for so long; the reasons of the last request."""
    made, lookup = context(**changes)
    reasons = 0
    for second in range(seconds):
        for _ in range(per_s):
            reasons = subject.judge(made, lookup, NOW_S + second).reasons
    return reasons


def test_an_id_that_asks_too_often() -> None:
    """An id that asks 30 times a second is told within half a minute; another one is not taken for it."""
    subject = screen()
    assert _asked(subject, 30, 40) & Reason.PERSON_RATE
    assert judged(subject, NOW_S + 40, user={"id": "user-2"}) & Reason.PERSON_RATE == 0


def test_an_address_that_asks_too_often() -> None:
    """So is a truncated address with one agent; with another agent, or next door, somebody else is meant."""
    subject = screen(address_rate=5.0)
    assert _asked(subject, 30, 40, user=None) & Reason.ADDRESS_RATE
    assert judged(subject, NOW_S + 40, user=None, device={"ip": "198.51.100.99"}) & Reason.ADDRESS_RATE
    assert judged(subject, NOW_S + 40, user=None, device={"ip": "198.51.101.7"}) & Reason.ADDRESS_RATE == 0
    assert (
        judged(subject, NOW_S + 40, user=None, device={"ua": "Mozilla/5.0 (X11; Linux)"})
        & Reason.ADDRESS_RATE
        == 0
    )


def test_ipv6_is_counted_by_64_bits() -> None:
    """A household's /64 is one address."""
    subject = screen(address_rate=5.0)
    there = {"ip": None, "ipv6": "2001:db8::1"}
    assert _asked(subject, 30, 40, user=None, device=there) & Reason.ADDRESS_RATE
    near, far = {"ip": None, "ipv6": "2001:db8::ffff:9"}, {"ip": None, "ipv6": "2001:db8:0:1::1"}
    assert judged(subject, NOW_S + 40, user=None, device=near) & Reason.ADDRESS_RATE
    assert judged(subject, NOW_S + 40, user=None, device=far) & Reason.ADDRESS_RATE == 0


def test_children_are_not_counted() -> None:
    """Of requests under COPPA neither id nor address is counted, however many there are."""
    subject = screen(address_rate=1.0, person_rate=1.0)
    assert _asked(subject, 50, 30, regs={"coppa": 1}) == 0
    assert len(subject._people.keys) == len(subject._addresses.keys) == 0
    assert subject._people.sketch.total == subject._addresses.sketch.total == 0


def test_without_permission_no_id_is_counted() -> None:
    """Where no id may be read, the person is not counted."""
    subject = screen()
    _asked(subject, 30, 10, regs={"gdpr": 1})
    subject.count(NOW_S + 20)
    assert subject._people.sketch.total == 0


def test_a_source_of_bots() -> None:
    """Where most requests of a placement come from data centres, its others are marked, too; those of other placements
    are not."""
    subject = screen()
    subject.networks = CLOUD
    for second in range(40):
        for number in range(10):
            device = {"ip": f"203.0.113.{number}" if number < 8 else f"198.51.100.{number}"}
            judged(subject, NOW_S + second, user={"id": f"u{number}"}, device=device)
    assert judged(subject, NOW_S + 41) == Reason.SOURCE_RATE
    elsewhere = {"publisher": {"id": "pub-2"}}
    assert judged(subject, NOW_S + 41, site=elsewhere) == 0


def test_counts() -> None:
    """Suspect requests are counted once by exchange and action, and by each of their reasons; their source, too."""
    tally = Tally()
    subject = screen(tally)
    subject.networks = CLOUD
    for _ in range(3):
        judged(subject, device={"ua": "curl/8.0", "ip": "203.0.113.9"})
    judged(subject, device={"ip": "203.0.113.9"})
    judged(subject)
    counted = {
        "/".join((cell.name.removeprefix("paceline_"), *cell.labels)): value
        for cell, value in tally.samples()
        if value
    }
    assert counted == {
        "invalid_traffic_requests_total/generic/filtered": 3,
        "invalid_traffic_requests_total/generic/marked": 1,
        "invalid_traffic_reasons_total/generic/crawler/filtered": 3,
        "invalid_traffic_reasons_total/generic/datacentre/filtered": 3,
        "invalid_traffic_reasons_total/generic/datacentre/marked": 1,
        "invalid_traffic_source_requests_total/generic/pub-1/news.example": 4,
    }
    subject.count(NOW_S + 1)
    (source,) = subject.sources.table()
    assert (source.requests, source.suspect, source.filtered) == (5, 4, 3)
    assert names(source.reasons) == ("crawler", "datacentre")


def test_source_series_are_bounded() -> None:
    """However many publishers are suspect, so many have series of their own and the rest is one."""
    tally = Tally()
    subject = screen(tally)
    for number in range(150):
        judged(subject, device={"ua": "curl/8.0"}, site={"publisher": {"id": f"pub-{number}"}})
    series = [
        (cell.labels, value)
        for cell, value in tally.samples()
        if cell.name == "paceline_invalid_traffic_source_requests_total"
    ]
    assert len(series) == 101
    assert (("other", "other", "other"), 50) in series


def test_the_secret_decides_who_collides() -> None:
    """Two processes count the same person under different keys, which nobody can foresee."""
    made, lookup = context()
    keys = set()
    for _ in range(2):
        subject = Screen(FraudRules(), Tally(), NOW_S)
        subject.judge(made, lookup, NOW_S)
        keys.add(subject._people.keys[0])
    assert len(keys) == 2


def test_names_agree() -> None:
    """Every reason has a policy and a weight of its name."""
    assert set(REASONS) == set(Policies.__struct_fields__) == set(Weights.__struct_fields__)


TEXT = st.text(max_size=40)


@given(
    agent=TEXT,
    address=st.one_of(TEXT, st.ip_addresses().map(str)),
    domain=TEXT,
    tag=st.one_of(st.none(), TEXT),
    offset=st.one_of(st.none(), st.integers(-2000, 2000)),
    platform=st.one_of(st.none(), TEXT),
)
def test_anything(
    agent: str, address: str, domain: str, tag: str | None, offset: int | None, platform: str | None
) -> None:
    """Whatever a valid request says, it is judged."""
    changes: dict[str, Any] = {
        "imp": [{"id": "1", "tagid": tag, "banner": {"w": 300, "h": 250}}],
        "site": {"domain": domain, "publisher": {"id": domain}},
        "device": {
            "ua": agent,
            "ip": address,
            "geo": {"country": "DEU", "utcoffset": offset},
            "sua": {"platform": {"brand": platform}},
        },
    }
    json.dumps(changes)
    subject = screen()
    subject.networks = CLOUD
    assert subject.judge(*context(**changes), NOW_S).reasons >= 0
