"""The fit finds the constants that rows were made of, also where the machine's speed changes between them."""

import math
import random

import msgspec
import pytest

from benchmarks import capacity_fit
from benchmarks.capacity import shipped
from benchmarks.capacity_check import WITHIN, Finding, record, table
from benchmarks.capacity_fit import Part, Row, Wires, arrivals, constants
from bidder.capacity import SHIPPED, Constants, at, busy

SIZES = (100, 1_000, 10_000)


def row(line_items: int, rate: float, speed: float, batch: float | None = None) -> Row:
    """A load as SHIPPED has it on a machine that is `speed` times as slow."""
    made = busy(rate, line_items, SHIPPED, speed)
    size = made.batch if batch is None else batch
    tick_us = at(SHIPPED.tick_us, line_items)
    slept = max(0.0, 1 - made.cores) if batch is None else 0.0
    worker_us = speed * (at(SHIPPED.request_us, line_items) + (tick_us + SHIPPED.idle_us * slept) / size)
    asked = 1.0 + 0.7 * size
    people_us = speed * (SHIPPED.people_request_us + SHIPPED.people_tick_us / asked)
    cores = made.cores if batch is None else 1.0
    return Row(line_items, batch is None, rate, size, worker_us, people_us, asked, cores, speed)


def rows() -> list[Row]:
    """Open loops and full batches of each size, in minutes of different speed."""
    chance = random.Random(3)
    return [
        row(n, rate, chance.uniform(0.8, 1.3), batch)
        for n in SIZES
        for rate, batch in ((500.0, None), (1_000.0, None), (2_000.0, None), (3_000.0, 8.0), (4_000.0, 30.0))
        for _ in range(3)
    ]


def test_known_constants_are_found_again() -> None:
    """From rows that SHIPPED would have made, the fit makes SHIPPED's costs."""
    request_us, tick_us, idle_us = capacity_fit.worker(rows(), SIZES)
    assert request_us == pytest.approx([at(SHIPPED.request_us, n) for n in SIZES], rel=0.02)
    assert tick_us == pytest.approx([at(SHIPPED.tick_us, n) for n in SIZES], rel=0.05)
    assert idle_us == pytest.approx(SHIPPED.idle_us, abs=0.1 * max(tick_us))
    people_us, people_tick_us = capacity_fit.people(rows())
    assert people_us == pytest.approx(SHIPPED.people_request_us, rel=0.02)
    assert people_tick_us == pytest.approx(SHIPPED.people_tick_us, rel=0.05)


def test_how_long_requests_gather_is_found_in_the_batches() -> None:
    """The gathering time is that by which open loops' batches are larger than their CPU explains."""
    still = [row(n, rate, 1.0) for n in SIZES for rate in (800.0, 1_500.0, 2_500.0)]
    assert capacity_fit.gather(still) == pytest.approx(SHIPPED.gather_us, rel=0.25, abs=60)
    assert capacity_fit.gather([]) == 0.0


@pytest.mark.parametrize("mean", [0.01, 0.5, 1.0, 3.0, 40.0])
def test_arrivals_of_a_batch(mean: float) -> None:
    """The mean number of arrivals is found from the batches that it makes."""
    assert arrivals(mean + math.exp(-mean)) == pytest.approx(mean, rel=1e-3, abs=1e-3)


def test_constants_are_whole_and_never_fall() -> None:
    """All fields of the model come out of a fit, and no table falls with line items, whatever the noise says."""
    parts = [
        Part(n, mb, 300.0, 0.02, 5_000.0, 815.0, 1.0)
        for n, mb in zip(SIZES, (130.0, 128.0, 200.0), strict=True)
    ]
    wires = Wires(2_500.0, 3_400.0, 1_100.0, 200.0, 60.0, 600.0, 200.0)
    made = msgspec.convert(msgspec.to_builtins(constants(rows(), parts, wires, 14.0)), Constants)
    assert made.worker_mb == ((100, 130.0), (1_000, 130.0), (10_000, 200.0))
    for name in ("request_us", "tick_us"):
        values = [value for _, value in getattr(made, name)]
        assert values == sorted(values)


def test_what_is_negative_is_left_out() -> None:
    """Noise cannot make a cost negative: it is 0, and the rest is fitted without it."""
    flat = [row(1_000, 4_000.0, 1.0, batch) for batch in (4.0, 16.0, 64.0)]
    odd = [msgspec.structs.replace(each, worker_us=200.0 - 20 / each.batch) for each in flat]
    request_us, tick_us, idle_us = capacity_fit.worker(odd, (1_000,))
    assert tick_us == [0.0]
    assert idle_us == 0.0
    assert request_us[0] == pytest.approx(197, rel=0.02)


def test_what_is_printed_for_the_model_is_the_constants() -> None:
    """The text to paste into bidder/capacity.py makes the same constants."""
    made = shipped(SHIPPED).removeprefix("SHIPPED: Final = ")
    assert eval(made, {"Constants": Constants}) == SHIPPED


def test_errors_are_shares_of_what_was_measured() -> None:
    """A prediction a fifth too high is told as +20 %, and marked beyond the bound."""
    told = table([Finding("small", "worker", 120.0, 100.0), Finding("small", "memory", 101.0, 100.0)])
    assert "+20.0%  MISSED" in told
    assert told.count("MISSED") == 1
    kept = record([Finding("small", "worker", 120.0, 100.0)], {"cores": 2})
    assert kept["findings"] == [
        {"trial": "small", "what": "worker", "predicted": 120.0, "measured": 100.0, "error": 0.2}
    ]
    assert WITHIN == 0.15
