"""What the path of a bid counts of itself: time by stage, consent outcomes, bids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bidder.auction.counts import STAGES
from bidder.audience.frequency import Exposure
from bidder.audience.identity import Lookup
from bidder.audience.person import Person
from bidder.outcome import Outcome
from tests.bidder.auction.market import market, visitor
from tests.bidder.auction.support import Bench, Done, Known, Read, config_of, uid, world_of
from tests.bidder.privacy.signals import VENDOR

WORLD = world_of(market(), config_of(vendor_id=VENDOR))


def request(number: int = 1, country: str = "DEU", **more: Any) -> dict[str, Any]:
    """A request that is bid for."""
    return {
        "id": f"r{number}",
        "tmax": 100,
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
        "site": {"domain": "news.example"},
        "user": {"buyeruid": uid(number)},
        "device": {"geo": {"country": country}},
        "regs": {"gdpr": 0},
    } | more


def observed(bench: Bench, stage: str) -> int:
    """How many requests a stage was counted for."""
    return sum(
        value
        for cell, value in bench.tally.samples()
        if cell.name == "paceline_stage_seconds" and cell.labels == (stage,) and cell.part != "sum"
    )


def consents(bench: Bench) -> dict[str, int]:
    """Requests by regime and outcome, those that there were."""
    return {
        "/".join(cell.labels): value
        for cell, value in bench.tally.samples()
        if cell.name == "paceline_consent_total" and value
    }


def test_each_stage_is_counted_once_for_each_request() -> None:
    """Three requests, of which one is broken and one offers nothing: all are read, one goes on; the queue is the
    port's to count."""
    bench = Bench(WORLD, Known({visitor().id: visitor()}))
    nothing = request(2)
    del nothing["site"]
    calls = bench.ask(request(), nothing, b"{")
    assert [call.outcome for call in calls] == [Outcome.BID, Outcome.UNSUPPORTED, Outcome.MALFORMED]
    counted = {stage: observed(bench, stage) for stage in STAGES}
    assert counted == {stage: {"queue": 0, "intake": 3}.get(stage, 1) for stage in STAGES}


def test_where_nothing_is_left_to_price_two_stages_are_missing() -> None:
    """A request that nothing suits is neither priced nor admitted, and was not asked for without an id."""
    bench = Bench(WORLD)
    nobody = request() | {"imp": [{"id": "1", "banner": {"w": 1, "h": 1}}], "user": {}}
    (call,) = bench.ask(nobody)
    assert call.outcome is Outcome.NO_CANDIDATE
    counted = [stage for stage in STAGES if observed(bench, stage)]
    assert counted == ["intake", "retrieve", "respond"]


class Slow(Known):
    """A store that takes 5 ms."""

    def __init__(self, bench: list[Bench]) -> None:
        super().__init__()
        self._bench = bench

    def read(self, lookups: Sequence[Lookup | None], deadline_ns: int, imps: Sequence[int] = ()) -> Done:
        self._bench[0].clock.advance(0.005)
        return super().read(lookups, deadline_ns, imps)


def test_a_stage_weighs_as_much_as_the_requests_that_were_in_it() -> None:
    """Two requests that waited 5 ms together for their people are twice 5 ms."""
    held: list[Bench] = []
    bench = Bench(WORLD, Slow(held))
    held.append(bench)
    bench.ask(request(1), request(2))
    cells = {(cell.labels, cell.part): value for cell, value in bench.tally.samples()}
    assert cells[("person",), "sum"] == pytest.approx(2 * 5_000_000, rel=1e-3)


@pytest.mark.parametrize(
    ("country", "regs", "device", "label"),
    [
        ("DEU", {"gdpr": 1}, {}, "gdpr/contextual"),
        ("DEU", {}, {}, "gdpr/contextual"),
        ("DEU", {"gdpr": 1}, {"lmt": 1}, "gdpr/opted_out"),
        ("DEU", {"gdpr": 0}, {}, "none/personal"),
        ("BRA", {}, {}, "none/personal"),
        ("BRA", {}, {"lmt": 1}, "none/opted_out"),
        ("USA", {}, {}, "us/personal"),
        ("BRA", {"us_privacy": "1YYN"}, {}, "us/opted_out"),
        ("BRA", {"gpp_sid": [5]}, {}, "other/opted_out"),
        ("USA", {"gpp_sid": [7]}, {}, "us/opted_out"),
        ("USA", {"coppa": 1}, {}, "coppa/contextual"),
        ("USA", {"ext": {"gpc": "1"}}, {}, "us/opted_out"),
    ],
)
def test_consent_outcomes(country: str, regs: dict[str, Any], device: dict[str, Any], label: str) -> None:
    """By the law in force, and by what it lets us do: a section that cannot be read is a refusal."""
    bench = Bench(WORLD)
    bench.ask(request(country=country, regs=regs, device={"geo": {"country": country}} | device))
    assert consents(bench) == {label: 1}


class OptedOut(Known):
    """A store in which the second of a batch opted out."""

    def read(self, lookups: Sequence[Lookup | None], deadline_ns: int, imps: Sequence[int] = ()) -> Done:
        class Told(Done):
            def __init__(self, people: Sequence[Person | None]) -> None:
                super().__init__(people)
                self.people = people

            def then(self, callback: Any) -> None:
                exposures: Sequence[Exposure | None] = ()
                read = Read(self.people, exposures)
                read.opted_out = {1}
                callback(read)

        return Told([None] * len(lookups))


def test_an_opt_out_in_the_store_is_one() -> None:
    """Who opted out with us is counted so, though the request allowed everything; each request is counted once."""
    bench = Bench(WORLD, OptedOut())
    bench.ask(request(1), request(2))
    assert consents(bench) == {"none/personal": 1, "none/opted_out": 1}
