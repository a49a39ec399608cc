"""Robots among the simulated requests, and what the service's screen makes of them and of the people."""

import gzip
from collections import Counter

from benchmarks.demo.session import ROBOTS
from benchmarks.demo.stage import person_rate
from benchmarks.exchange.population import Population
from benchmarks.exchange.requests import Call, Traffic
from benchmarks.exchange.robots import CRAWLER, CRAWLERS, NUMBER, RATE, Robots
from bidder.auction.identify import lookup_of
from bidder.auction.intake import context_of, read_request
from bidder.audience.identity import Lookup
from bidder.exchanges import SHIPPED
from bidder.fraud.score import Screen
from bidder.metrics import Tally
from bidder.opportunity import Context
from bidder.privacy.gate import FULL
from bidder.screening import FraudRules

NOW_S = 1_795_000_000
EXCHANGES = {profile.name: profile for profile in SHIPPED}
RATE_PER_S = 100


def test_robots_are_a_share_of_the_requests() -> None:
    """So many crawlers, so many of one id; without robots the same people ask for the same."""
    people = Population(1, 300, NOW_S)
    traffic = Traffic(1, people, robots=Robots(1, ROBOTS))
    calls = [traffic.draw() for _ in range(3_000)]
    kinds = Counter(call.robot for call in calls)
    assert 0.6 < kinds[CRAWLER] / (len(calls) * ROBOTS * CRAWLERS) < 1.5
    assert 0.7 < kinds[RATE] / (len(calls) * ROBOTS * (1 - CRAWLERS)) < 1.2
    assert {call.human.number for call in calls if call.robot == RATE} == {NUMBER}
    plain = Traffic(1, people)
    assert not any(plain.draw().robot for _ in range(200))


def test_crawlers_are_filtered_and_so_is_the_id_and_nobody_else() -> None:
    """In a minute of the demo's traffic each crawler is told at once, the id within half a minute, and of the people
    not even the most active one is taken for a robot, at whichever rate the exchanges send."""
    people = Population(1, 5_000, NOW_S)
    traffic = Traffic(1, people, robots=Robots(1, ROBOTS))
    bound = person_rate(RATE_PER_S, people.busiest)
    screen = Screen(FraudRules(person_rate=bound), Tally(), NOW_S, b"0123456789abcdef")
    filtered: Counter[str] = Counter()
    late = 0
    for number in range(60 * RATE_PER_S):
        now_s = NOW_S + number / RATE_PER_S
        call = traffic.draw()
        context, lookup = _read(call)
        verdict = screen.judge(context, lookup, now_s)
        filtered[call.robot] += verdict.filtered
        late += call.robot == CRAWLER and not verdict.filtered
        late += call.robot == RATE and now_s > NOW_S + 35 and not verdict.filtered
    assert filtered[""] == 0
    assert filtered[CRAWLER] > 30
    assert filtered[RATE] > 80
    assert late == 0


def _read(call: Call) -> tuple[Context, Lookup | None]:
    """As the path of a bid sees it, with everybody's consent."""
    body = gzip.decompress(call.body) if call.dialect.gzip else call.body
    request, exchange = read_request(body), EXCHANGES[call.dialect.name]
    return context_of(request, exchange, FULL, NOW_S, "USD"), lookup_of(request, exchange)
