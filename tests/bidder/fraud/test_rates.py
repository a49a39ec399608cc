"""Counts that fade, and who asks abnormally often."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidder.fraud.rates import Alarm, Mixture, Sketch, steady

KEYS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=300)


@given(batches=st.lists(KEYS, min_size=1, max_size=4))
@settings(max_examples=50)
def test_never_too_low(batches: list[list[int]]) -> None:
    """An estimate is at least what was counted, in however small a table."""
    sketch, truth = Sketch(60.0, 0.0, width=64), Counter[int]()
    for batch in batches:
        keys, estimates = sketch.add(batch)
        truth.update(batch)
        assert sorted(keys.tolist()) == sorted(set(batch))
        for key, estimate in zip(keys.tolist(), estimates.tolist(), strict=True):
            assert estimate >= truth[key] * (1 - 1e-5)
    every = list(truth)
    assert np.all(sketch.of(every) >= np.array([truth[key] for key in every]) * (1 - 1e-5))


def test_seldom_too_high() -> None:
    """Of 50,000 ids in a table of 2^14 cells, more than nine in ten are within the noise that is allowed for."""
    rng = random.Random(7)
    keys = [rng.getrandbits(64) - 2**63 for _ in range(50_000)]
    sketch = Sketch(60.0, 0.0, width=1 << 14)
    for start in range(0, len(keys), 1_000):
        sketch.add(keys[start : start + 1_000])
    assert np.mean(sketch.of(keys) - 1 <= sketch.noise) > 0.9


def test_fades_by_half() -> None:
    """After a half life a count is worth half; after many it is gone."""
    sketch = Sketch(60.0, 1_000.0)
    sketch.at(1_000.0)
    sketch.add([5] * 100)
    sketch.at(1_060.0)
    assert sketch.of([5])[0] == pytest.approx(50.0, rel=1e-4)
    assert sketch.total == pytest.approx(50.0)
    sketch.at(1_000.0 + 60 * 20)
    assert sketch.of([5])[0] < 0.001


def test_weights_are_renewed() -> None:
    """A month of counting neither overflows nor forgets the last minute."""
    sketch = Sketch(60.0, 0.0)
    for minute in range(60 * 24 * 30):
        sketch.at(minute * 60.0)
        if minute % 7 == 0:
            sketch.add([9])
    assert math.isfinite(sketch.total)
    assert sketch.of([9])[0] == pytest.approx(0.25, rel=0.02)  # two minutes ago


def test_time_that_stands_or_runs_back() -> None:
    """A clock that is set back adds with the weight of the beginning, and nothing breaks."""
    sketch = Sketch(60.0, 1_000.0)
    sketch.at(500.0)
    sketch.add([1])
    sketch.at(1e12)
    sketch.add([1])
    assert sketch.of([1])[0] == pytest.approx(1.0)


def test_steady_rate() -> None:
    """A steady rate comes to the count that `steady` tells."""
    sketch = Sketch(60.0, 0.0)
    for second in range(900):
        sketch.at(float(second))
        sketch.add([3] * 5)
    assert sketch.of([3])[0] == pytest.approx(steady(5.0, 60.0), rel=0.02)


def _minutes(alarm: Alarm, rates: dict[int, float], rng: random.Random, minutes: int) -> set[int]:
    """Let everybody ask at a rate of their own; who was ever flagged."""
    flagged: set[int] = set()
    for second in range(minutes * 60):
        for key, rate in rates.items():
            asked = int(rate) + (rng.random() < rate % 1)
            alarm.keys.extend([key] * asked)
        alarm.count(float(second))
        flagged |= alarm.flagged
    return flagged


def test_both_ways() -> None:
    """Ids with an abnormal share are flagged, every one; of a thousand people, fifty of them heavy, nobody is."""
    rng = random.Random(11)
    people = {rng.getrandbits(62): rng.uniform(0.05, 0.4) for _ in range(1_000)}
    heavy = {rng.getrandbits(62): rng.uniform(2.0, 3.5) for _ in range(50)}
    machines = {rng.getrandbits(62): rng.uniform(12.0, 30.0) for _ in range(5)}
    alarm = Alarm(Sketch(60.0, 0.0), steady(8.0, 60.0), 0.0005)
    flagged = _minutes(alarm, people | heavy | machines, rng, 6)
    assert flagged == set(machines)


def test_crowds_are_not_flagged() -> None:
    """Where everything is large, a share decides: an id above the floor that is one in ten thousand is no outlier."""
    alarm = Alarm(Sketch(60.0, 0.0), 10.0, 0.01)
    for _ in range(20):
        alarm.keys.extend(range(1_000))
    alarm.count(0.0)
    assert alarm.flagged == set()


def test_flags_end() -> None:
    """Who stops is believed again after some minutes."""
    alarm = Alarm(Sketch(60.0, 0.0), 100.0, 0.01)
    alarm.keys.extend([1] * 400)
    alarm.count(0.0)
    assert alarm.flagged == {1}
    alarm.count(60.0)
    assert alarm.flagged == {1}
    alarm.count(200.0)
    assert alarm.flagged == set()


def test_mixture() -> None:
    """A source of which most is suspect is flagged; one with some suspects, and a small one, are not."""
    mixture = Mixture((Sketch(300.0, 0.0), Sketch(300.0, 0.0)), 200, 0.5)
    mixture.keys.extend([1] * 500 + [2] * 500 + [3] * 50)
    mixture.suspects.extend([1] * 300 + [2] * 100 + [3] * 50)
    mixture.count(0.0)
    mixture.keys.extend([1, 2, 3])
    mixture.count(1.0)
    assert mixture.flagged == {1}
    mixture.keys.extend([1] * 500)
    mixture.count(2.0)
    assert mixture.flagged == set()


def test_widths() -> None:
    """A width that is no power of two is our mistake."""
    with pytest.raises(AssertionError):
        Sketch(60.0, 0.0, width=1_000)
