"""The shapes of load over a run."""

import pytest

from benchmarks.arrivals import NANOSECONDS, Arrivals, Manner
from benchmarks.shapes import SHAPES, diurnal, spike


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("seconds", [2.0, 60.0, 86_400.0])
def test_every_shape_is_a_share_of_the_highest_load(name: str, seconds: float) -> None:
    """Never nothing, never more than all, and all of it at some moment."""
    shares = [SHAPES[name](i * seconds / 1_000, seconds) for i in range(1_000)]
    assert min(shares) > 0
    assert max(shares) == pytest.approx(1.0, abs=0.01)


def test_a_spike_is_three_times_as_much_within_seconds_and_back() -> None:
    """A minute: 20 s low, three times as much two seconds after 24 s, low again after 38 s."""
    assert spike(23.9, 60) == pytest.approx(1 / 3)
    assert spike(26.1, 60) == pytest.approx(1.0)
    assert spike(38.1, 60) == pytest.approx(1 / 3)


def test_a_day_has_its_hours() -> None:
    """The night is a quarter of the evening, wherever the length of the run puts them."""
    assert diurnal(21 / 24 * 600, 600) == pytest.approx(1.0)
    assert diurnal(4 / 24 * 600, 600) == pytest.approx(0.24)


def test_arrivals_follow_a_shape() -> None:
    """In the spike of an open loop three times as many are due per second as before it."""
    arrivals = Arrivals(300, 60, 0, manner=Manner(spike))
    dues = [
        due / NANOSECONDS for due in iter(lambda: arrivals.take(60 * NANOSECONDS), None) if due is not None
    ]
    before, during = (sum(a <= due < a + 5 for due in dues) for a in (10, 28))
    assert before == pytest.approx(500, abs=2)
    assert during == pytest.approx(1_500, abs=2)


def test_poisson_arrivals_keep_the_rate_and_vary_as_they_should() -> None:
    """Of 20,000 gaps the mean is the interval and the deviation as large as the mean; equal seeds, equal times."""
    drawn = []
    for _ in range(2):
        arrivals = Arrivals(1_000, 20, 0, manner=Manner(poisson=True, seed=7))
        drawn.append(
            [due for due in iter(lambda a=arrivals: a.take(20 * NANOSECONDS), None) if due is not None]
        )
    assert drawn[0] == drawn[1]
    gaps = [(b - a) / 1e6 for a, b in zip(drawn[0], drawn[0][1:], strict=False)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(1.0, rel=0.03)
    assert deviation == pytest.approx(mean, rel=0.05)
