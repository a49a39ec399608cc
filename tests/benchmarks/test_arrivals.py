"""The latency accounting of the load generator, on a clock moved by hand."""

import itertools
from array import array

import pytest

from benchmarks.arrivals import NANOSECONDS, Arrivals
from benchmarks.latency import Latencies

MS = 1_000_000


def drive(arrivals: Arrivals, service_ns: int, stall: tuple[int, int]) -> None:
    """One connection to a server that takes `service_ns` for each request and stands still during `stall`."""
    now = arrivals.start_ns
    while not arrivals.exhausted(now):
        due = arrivals.take(now)
        if due is None:
            now = arrivals.next_ns
            continue
        sent, now = now, now + service_ns
        if stall[0] <= now < stall[1]:
            now = stall[1]
        arrivals.answered(due, sent, now)


def test_a_stall_shows_in_all_requests_that_were_due_meanwhile() -> None:
    """A server that stands still for 1 s of 4 delays a quarter of the schedule: coordinated omission would
    have shown one slow request."""
    arrivals = Arrivals(1_000, 4, 0)
    drive(arrivals, 100_000, (1 * NANOSECONDS, 2 * NANOSECONDS))
    assert len(arrivals.latencies_ns) == 4_000
    assert sum(ns > 100 * MS for ns in arrivals.latencies_ns) >= 900
    assert sum(ns > 100 * MS for ns in arrivals.service_ns) == 1
    latencies = Latencies(arrivals.latencies_ns)
    assert latencies.ms(50) < 1 < 500 < latencies.ms(90)
    assert 990 < latencies.ms(100) <= 1_001


def test_latency_falls_back_as_the_backlog_is_worked_off() -> None:
    """After a stall each later request waits less, by what the server is faster than the schedule."""
    arrivals = Arrivals(1_000, 3, 0)
    drive(arrivals, 500_000, (NANOSECONDS, NANOSECONDS + 200 * MS))
    backlog = [ns for ns in arrivals.latencies_ns if ns > MS]
    assert backlog == sorted(backlog, reverse=True)
    assert len(backlog) > 300


def test_the_schedule_is_absolute() -> None:
    """Due times follow from the rate alone, however late they are taken, and do not drift."""
    arrivals = Arrivals(3_000, 1, 500)
    taken = [arrivals.take(5 * NANOSECONDS) for _ in range(3_000)]
    assert None not in taken
    assert max(abs((due or 0) - 500 - i * NANOSECONDS // 3_000) for i, due in enumerate(taken)) <= 1
    assert arrivals.take(5 * NANOSECONDS) is None
    assert arrivals.exhausted(0)


def test_nothing_is_due_early() -> None:
    """A request before its time is not sent."""
    arrivals = Arrivals(10, 1, 0)
    assert arrivals.take(0) == 0
    assert arrivals.take(99 * MS) is None
    assert arrivals.take(100 * MS) == 100 * MS


def test_what_was_never_sent_counts_with_its_waiting() -> None:
    """Requests that no connection was free for are abandoned with the time they waited, and reported."""
    arrivals = Arrivals(100, 1, 0)
    assert arrivals.abandon(2 * NANOSECONDS) == 100
    assert list(arrivals.latencies_ns) == [2 * NANOSECONDS - i * 10 * MS for i in range(100)]


def test_the_warm_up_is_in_no_count() -> None:
    """Requests that were due while warming up are sent, and forgotten."""
    arrivals = Arrivals(100, 1, 0, warm_up_s=0.5)
    dues = [due for due in iter(lambda: arrivals.take(9 * NANOSECONDS), None) if due is not None]
    counted = [arrivals.answered(due, due, due + MS) for due in dues]
    assert (len(counted), sum(counted)) == (150, 100)


def test_a_closed_loop_is_due_at_once_until_its_end() -> None:
    """Without a rate every free connection sends, and latency counts from the sending."""
    arrivals = Arrivals(None, 1, 0)
    assert [arrivals.take(now) for now in (0, 5, 5, NANOSECONDS)] == [0, 5, 5, None]
    assert arrivals.exhausted(NANOSECONDS)
    assert arrivals.abandon(NANOSECONDS) == 0


@pytest.mark.parametrize(("percentile", "expected"), [(50, 50), (99, 99), (99.9, 100), (100, 100)])
def test_percentiles(percentile: float, expected: float) -> None:
    """Percentiles of 1..100 ms are what they should be, to three digits."""
    latencies = Latencies(array("q", [i * MS for i in range(1, 101)]))
    assert latencies.ms(percentile) == pytest.approx(expected, rel=2e-3)


def test_percentiles_of_nothing_are_zero() -> None:
    """A run without an answer has a report all the same."""
    assert set(Latencies(array("q")).table().values()) == {0.0}
    assert list(itertools.islice(Latencies(array("q")).table(), 3)) == ["p50", "p90", "p99"]
