"""The breaker, step by step."""

from __future__ import annotations

from bidder.stores.breaker import Breaker, BreakerState

PAUSE_NS = 500_000_000


def _open(now_ns: int = 0, failures: int = 3) -> Breaker:
    breaker = Breaker(failures, 0.5)
    for _ in range(failures):
        breaker.failed(now_ns)
    return breaker


def test_opens_at_the_limit_and_says_so_once() -> None:
    """The n-th failure in a row opens it, and only that one is reported as the opening."""
    breaker = Breaker(3, 0.5)
    assert [breaker.failed(0) for _ in range(5)] == [False, False, True, False, False]
    assert breaker.state is BreakerState.OPEN


def test_a_success_starts_the_count_anew() -> None:
    """Failures that are not consecutive do not open it."""
    breaker = Breaker(3, 0.5)
    for _ in range(10):
        breaker.failed(0)
        breaker.failed(0)
        breaker.succeeded()
    assert breaker.allows(0)
    assert breaker.state is BreakerState.CLOSED


def test_lets_one_probe_through_after_the_pause() -> None:
    """While open it refuses; after the pause one call goes out, the next is refused."""
    breaker = _open()
    assert not breaker.allows(PAUSE_NS - 1)
    assert breaker.allows(PAUSE_NS)
    assert not breaker.allows(PAUSE_NS)
    assert breaker.state is BreakerState.PROBING


def test_the_probe_decides() -> None:
    """A failed probe opens it for another pause, which is no new opening; one that works closes it."""
    breaker = _open()
    assert breaker.allows(PAUSE_NS)
    assert not breaker.failed(PAUSE_NS)
    assert not breaker.allows(2 * PAUSE_NS - 1)
    assert breaker.allows(2 * PAUSE_NS)
    breaker.succeeded()
    assert breaker.allows(2 * PAUSE_NS)
    assert breaker.state is BreakerState.CLOSED


def test_a_probe_that_never_reports_is_followed_by_another() -> None:
    """Losing a probe does not shut the store out for ever."""
    breaker = _open()
    assert breaker.allows(PAUSE_NS)
    assert not breaker.allows(2 * PAUSE_NS - 1)
    assert breaker.allows(2 * PAUSE_NS)
