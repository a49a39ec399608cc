"""Two clocks: the system's, and one moved by hand."""

from __future__ import annotations

import time

import pytest

from bidder.clock import ManualClock, SystemClock


def test_the_manual_clock_stands_until_it_is_moved() -> None:
    """Both faces move together, by what is said."""
    clock = ManualClock(1_000.0)
    assert (clock.now_s(), clock.monotonic_ns()) == (1_000.0, 0)
    clock.advance(1.5)
    assert (clock.now_s(), clock.monotonic_ns()) == (1_001.5, 1_500_000_000)


def test_the_manual_clock_never_runs_backwards() -> None:
    """A step back is a bug of the caller."""
    with pytest.raises(AssertionError):
        ManualClock().advance(-0.1)


def test_the_system_clock_is_the_machines() -> None:
    """Between two looks of the machine's own clocks."""
    before, after_ns = time.time(), time.monotonic_ns()
    clock = SystemClock()
    assert before <= clock.now_s() <= time.time()
    assert after_ns <= clock.monotonic_ns() <= time.monotonic_ns()
