"""The capacity model: what it promises of any constants, and that what is shipped is what was measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bidder.capacity import (
    SHIPPED,
    Constants,
    Load,
    Prices,
    Table,
    along,
    at,
    busy,
    estimate,
    saturated_rate,
    worker_rate,
)

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "capacity.json"
USUAL = Load(qps=100_000, people=50_000_000, line_items=10_000)
GROWS = ("workers", "pods", "cores", "memory_gib", "people_primaries", "ledger_primaries", "store_nodes")
loads = st.builds(
    Load,
    qps=st.floats(1, 2e6),
    people=st.integers(0, 10**9),
    line_items=st.integers(1, 200_000),
    known_share=st.floats(0, 1),
    utilisation=st.floats(0.1, 0.9),
)


def test_what_is_shipped_is_what_was_measured() -> None:
    """SHIPPED equals the constants of benchmarks/results/capacity.json."""
    measured = msgspec.json.decode(RESULT.read_bytes())["constants"]
    assert msgspec.convert(measured, Constants) == SHIPPED


@settings(max_examples=30, deadline=None)
@given(loads, st.floats(1.0, 10.0))
def test_more_requests_never_take_less(load: Load, factor: float) -> None:
    """With more requests per second nothing shrinks."""
    less, more = estimate(load, SHIPPED), estimate(replace(load, qps=load.qps * factor), SHIPPED)
    for name in (*GROWS, "ingress_gbit_s", "ledger_gib_per_day"):
        assert getattr(more, name) >= getattr(less, name), name


@settings(max_examples=30, deadline=None)
@given(loads, st.integers(0, 10**9))
def test_more_people_take_more_memory_of_stores_alone(load: Load, more_people: int) -> None:
    """With more people the people's store never shrinks, and the workers stay as they are."""
    less, more = estimate(load, SHIPPED), estimate(replace(load, people=load.people + more_people), SHIPPED)
    assert more.people_gib >= less.people_gib
    assert more.people_primaries >= less.people_primaries
    assert more.workers == less.workers


@settings(max_examples=30, deadline=None)
@given(loads, st.integers(0, 500_000))
def test_more_line_items_never_take_less(load: Load, more_lines: int) -> None:
    """With more line items neither workers nor memory shrink."""
    wider = replace(load, line_items=load.line_items + more_lines)
    less, more = estimate(load, SHIPPED), estimate(wider, SHIPPED)
    assert more.workers >= less.workers
    assert more.memory_gib >= less.memory_gib * 0.999


@settings(max_examples=30, deadline=None)
@given(loads, st.floats(0.0, 0.09))
def test_fuller_workers_are_fewer(load: Load, fuller: float) -> None:
    """With more utilisation there are never more workers."""
    assert (
        estimate(replace(load, utilisation=load.utilisation + fuller), SHIPPED).workers
        <= estimate(load, SHIPPED).workers
    )


@settings(max_examples=30, deadline=None)
@given(loads, st.floats(1.0, 4.0))
def test_slower_machines_are_never_fewer(load: Load, slower: float) -> None:
    """On slower machines there are never fewer workers."""
    assert estimate(load, SHIPPED, slower).workers >= estimate(load, SHIPPED).workers


@settings(max_examples=30, deadline=None)
@given(loads)
def test_a_worker_is_as_busy_as_wanted(load: Load) -> None:
    """At its rate a worker without notices is busy for the wanted share of its core, and stays below saturation."""
    rate = worker_rate(load, SHIPPED, 1.0)
    assert busy(rate, load.line_items, SHIPPED).cores == pytest.approx(load.utilisation, rel=0.02)
    assert rate < saturated_rate(load.line_items, SHIPPED)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200_000), st.floats(1, 3_000))
def test_batches_grow_with_the_rate_and_requests_get_cheaper(line_items: int, rate: float) -> None:
    """At twice the rate batches are no smaller, requests no dearer, and a worker is busier."""
    slow, fast = (busy(qps, line_items, SHIPPED) for qps in (rate, 2 * rate))
    assert fast.batch >= slow.batch * 0.999
    assert fast.request_us <= slow.request_us * 1.001
    assert fast.cores > slow.cores


def test_alone_a_request_costs_a_whole_tick() -> None:
    """At a trickle batches hold one request, which pays for the tick and for cold caches."""
    alone = busy(0.01, 1_000, SHIPPED)
    whole_us = at(SHIPPED.request_us, 1_000) + at(SHIPPED.tick_us, 1_000) + SHIPPED.idle_us
    assert alone.batch == pytest.approx(1.0, abs=1e-3)
    assert alone.request_us == pytest.approx(whole_us, rel=1e-3)


@pytest.mark.parametrize("read", [at, along])
def test_a_table_is_met_at_its_points_and_goes_on_beyond_them(read: Callable[[Table, float], float]) -> None:
    """A table is itself at its points, flat below the first, and rises on beyond the last."""
    table = ((100, 1.0), (1_000, 2.0), (10_000, 4.0))
    assert [read(table, n) for n in (100, 1_000, 10_000)] == [1.0, 2.0, 4.0]
    assert read(table, 10) == 1.0
    assert read(table, 19_000) == pytest.approx(6.0)
    assert read(((100, 3.0),), 7_000) == 3.0


def test_costs_follow_the_logarithm_and_amounts_the_number() -> None:
    """Between points `at` is straight in the logarithm of line items, `along` in line items."""
    table = ((100, 1.0), (10_000, 3.0))
    assert at(table, 1_000) == pytest.approx(2.0)
    assert along(table, 5_050) == pytest.approx(2.0)


def test_people_are_bound_by_memory_or_by_cpu() -> None:
    """Many people and few requests want nodes for memory, few people and many requests want them for CPU."""
    many = estimate(replace(USUAL, qps=1_000, people=10_000_000_000), SHIPPED)
    assert many.people_primaries == pytest.approx(many.people_gib / 16, abs=1)
    assert any("by memory" in limit for limit in many.limits)
    busy_ = estimate(replace(USUAL, qps=1_000_000, people=1_000), SHIPPED)
    assert busy_.people_cores <= busy_.people_primaries * USUAL.store_utilisation
    assert any("by CPU" in limit for limit in busy_.limits)


def test_nobody_known_asks_no_store() -> None:
    """Where no request names anybody and nobody is kept, one primary is idle."""
    made = estimate(replace(USUAL, people=0, known_share=0.0), SHIPPED)
    assert (made.people_primaries, made.people_cores, made.people_gib) == (1, 0.0, 0.0)


def test_what_stands_in_the_way_is_told() -> None:
    """One pod is an outage when it is lost, and a bookkeeper that is too busy is named."""
    assert any("one pod" in limit for limit in estimate(replace(USUAL, qps=100), SHIPPED).limits)
    assert not any("one pod" in limit for limit in estimate(USUAL, SHIPPED).limits)
    assert any(
        "bookkeeper" in limit for limit in estimate(replace(USUAL, line_items=1_000_000), SHIPPED).limits
    )


def test_whole_cores_are_ordered() -> None:
    """For each pod those of its workers and at least one for its helpers, as the chart asks; no less than is used."""
    made = estimate(USUAL, SHIPPED)
    assert made.ordered_cores == made.workers + made.pods
    busy_helpers = estimate(replace(USUAL, line_items=1_000_000), SHIPPED)
    assert busy_helpers.ordered_cores >= busy_helpers.cores > busy_helpers.workers + busy_helpers.pods


def test_money_follows_prices() -> None:
    """The cost is linear in prices, and nothing where everything is free."""
    free = Prices(core_hour=0, gib_hour=0, egress_gib=0)
    once, twice = (
        estimate(USUAL, SHIPPED, prices=Prices(core_hour=c, gib_hour=c / 8, egress_gib=c / 2))
        for c in (0.04, 0.08)
    )
    assert estimate(USUAL, SHIPPED, prices=free).cost_per_billion == 0
    assert twice.cost_per_billion == pytest.approx(2 * once.cost_per_billion)


@pytest.mark.parametrize(
    "wrong",
    [{"qps": 0}, {"people": -1}, {"line_items": 0}, {"utilisation": 1}, {"known_share": 1.1}, {"typo": 1}],
)
def test_bounds_stand_in_the_types(wrong: dict[str, Any]) -> None:
    """A load that cannot be is refused where it is read."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"qps": 1, "people": 1, "line_items": 1} | wrong, Load)
