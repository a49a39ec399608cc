"""The search for the highest sustained rate, on probes that answer at once."""

from typing import Any

import pytest

from benchmarks.saturation import Bounds, Search, reasons, search

GOOD = {
    "rate": 1_000,
    "achieved_rate": 999,
    "requests": 1_000,
    "errors": 1,
    "late": 1,
    "latency_ms": {"p99": 20},
}


class Server:
    """Sustains what is not above `limit`; `noise` probes fail whatever they ask."""

    def __init__(self, limit: float, noise: int = 0) -> None:
        self.limit, self.noise = limit, noise
        self.probes: list[tuple[float, float]] = []

    def __call__(self, rate: float, seconds: float) -> dict[str, Any]:
        self.probes.append((rate, seconds))
        self.noise -= 1
        slow = rate > self.limit or self.noise >= 0
        return GOOD | {"rate": rate, "achieved_rate": rate, "latency_ms": {"p99": 99 if slow else 1}}


def test_the_search_ends_at_the_rate_that_breaks_the_bounds() -> None:
    """Doubling, then bisecting: the result is sustained and five per cent more is not, which it says."""
    found = search(Server(7_300), Search())
    assert 7_300 / 1.05 <= found.rate <= 7_300
    assert [run["rate"] for run in found.runs[:5]] == [500, 1_000, 2_000, 4_000, 8_000]
    assert "p99 99.0 ms above 20" in found.why


def test_a_slow_service_is_searched_downwards() -> None:
    """Where the first rate fails the search halves until one holds."""
    found = search(Server(90), Search())
    assert 90 / 1.05 <= found.rate <= 90


def test_one_disturbed_probe_does_not_end_the_search() -> None:
    """A rate has failed when it failed twice."""
    assert search(Server(7_300, noise=1), Search()).rate > 6_900


def test_probes_of_low_rates_are_longer() -> None:
    """Each lasts until its 99th percentile rests on enough requests, four times as long at most."""
    server = Server(2_000)
    search(server, Search(seconds=1.0))
    lengths = dict(server.probes)
    assert lengths[500] == 4.0
    assert lengths[1_000] == 2.0
    assert lengths[2_000] == lengths[4_000] == 1.0


def test_the_search_ends_in_time() -> None:
    """When its seconds are over, what is known then is the answer."""
    ticks = iter(range(1_000))
    found = search(Server(1e9), Search(budget_s=4), lambda: float(next(ticks)))
    assert 0 < len(found.runs) < 6
    assert found.why == "the search ended before a rate failed"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"achieved_rate": 950}, ["not kept up: 950/s answered"]),
        ({"errors": 2}, ["errors: 2 of 1,000"]),
        ({"late": 2}, ["late: 2 of 1,000"]),
        ({"latency_ms": {"p99": 21}}, ["p99 21.0 ms above 20"]),
        ({"requests": 0}, ["nothing was answered"]),
    ],
)
def test_reasons(change: dict[str, object], words: list[str]) -> None:
    """A rate counts only when it was kept up with, in time and without errors; else it is told which."""
    assert reasons(GOOD | change, Bounds()) == words
